"""The streams under the printer: what they can show, and a place to hold output back."""

from __future__ import annotations

import os
from contextlib import suppress
from io import TextIOWrapper
from typing import IO

_IN_MEMORY = 1 << 20
_PIECE = 1 << 16


def encodes_all(stream: IO[str]) -> IO[str]:
    """The stream, made to show the escape of a character it cannot encode instead of crashing."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def can_show(stream: IO[str], text: str) -> bool:
    """Whether the stream's encoding has these characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def may_be_styled(stream: IO[str]) -> bool:
    """Whether Rich is to decide about colour here; elsewhere it is not even imported."""
    forced = os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE") == "1"
    return bool(forced) or stream.isatty()


def spool() -> IO[str]:
    """A temporary place for output that may yet be dropped; on disk once it is large."""
    from tempfile import SpooledTemporaryFile

    return SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="")


def replay(spooled: IO[str], stream: IO[str]) -> None:
    """Write what was held back."""
    spooled.seek(0)
    while text := spooled.read(_PIECE):
        stream.write(text)
    stream.flush()


def forget_typed_ahead(stream: IO[str]) -> None:
    """Throw away what a terminal has taken in and nobody has read yet."""
    with suppress(ImportError, OSError, ValueError):
        import termios

        with suppress(termios.error):
            termios.tcflush(stream.fileno(), termios.TCIFLUSH)
