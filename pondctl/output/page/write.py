"""Writes a page to its file: whole or not at all, and over nothing that was there unless told so."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from pondctl.errors import UnavailableError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise `UsageError` where the file must not be written; asked before any work is done."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no file")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", hint="--force replaces it")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")


def write_page(path: Path, pieces: Iterable[str], *, force: bool) -> int:
    """Write the page and return how many bytes it has."""
    refuse_existing(path, force=force)
    # What a link points at is replaced, not the link.
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        try:
            with draft.open("x", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
            size = draft.stat().st_size
            if not force and target.exists():
                raise UsageError(f"{path} exists", hint="--force replaces it")
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        words = f"{path} could not be written: {error.strerror}"
        raise (UnavailableError if error.errno in _FULL else UsageError)(words) from None
    return size
