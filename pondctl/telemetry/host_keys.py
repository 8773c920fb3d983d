"""Random keys of this host: files in the state folder that only their owner can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

KEY_BYTES = 32


def key_file(name: str) -> Path:
    """Where the key of that name is kept."""
    from platformdirs import user_state_path

    return user_state_path("pondctl") / f"{name}.key"


def host_key(name: str) -> bytes:
    """Return the key of that name, made (0600) at first use; raises `OSError` where it cannot be kept."""
    path = key_file(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _read(path) or _make(path)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            others = os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            key = file.read(KEY_BYTES)
    except FileNotFoundError:
        return None
    # A key that others could read, or that was cut by a kill, protects nothing.
    if others or len(key) < KEY_BYTES:
        raise PermissionError(0, "others can read it, or it was cut short", str(path))
    return key


def _make(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(0o600, exist_ok=False)
    try:
        draft.write_bytes(key)
        os.link(draft, path)
    except FileExistsError:  # another process was first: its key is the key
        return _read(path) or key
    finally:
        draft.unlink()
    return key
