"""Device identifiers leave for logs only as pseudonyms: `dev:` and a keyed hash.

An unkeyed hash would be no protection: all ten-digit numbers are hashed in hours. With the key an
operator can find the line about a device, without it nobody can find the device of a line.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable
from pathlib import Path

_KEY_BYTES = 32
# \d on purpose: data from outside may spell digits in another script, and they are digits still.
_IDENTIFIERS = re.compile(
    r"""
    (?P<keep>
        # run ids, hashes and ids of a trace; the account name of ThingSpace; the account in an SQS URL
        (?<![0-9A-Za-z])
        (?: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} | [0-9a-f]{32} | [0-9a-f]{40} | [0-9a-f]{64} )
        (?![0-9A-Za-z])
      | (?<!\d) [0-9]{10}-[0-9]{5} (?!\d)
      | (?<=amazonaws\.com/) [0-9]{12} (?=/)
    )
  | 89 \d{16,20} (?!\d) [Ff]?                               # ICCID
  | 89 (?: [\ \u00a0-]?\d ){16,20} (?!\d) [Ff]?             # ICCID as labels space it
  | \+ \d{1,3} [\ .-]? (?:\(\d{1,4}\)[\ .-]?)? \d (?: [\ .-]?\d ){5,12} (?!\d)  # MSISDN, international
  | (?<!\d) \(? \d{3} \)? [\ .-] \d{3} [\ .-] \d{4} (?!\d)  # MSISDN as written in North America
  | \d{10,} [Ff]?                                           # bare MSISDN, IMSI, IMEI, EID
    """,
    re.VERBOSE,
)


class _Key:
    """The key of this process: given, or read from its source at the first identifier."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._source: Callable[[], bytes] = stored_key
        self._value: bytes | None = None

    def bind(self, key: bytes | Callable[[], bytes]) -> None:
        with self._lock:
            self._value = key if isinstance(key, bytes) else None
            self._source = stored_key if isinstance(key, bytes) else key

    def value(self) -> bytes:
        with self._lock:
            if self._value is None:
                self._value = self._source()
            return self._value


def stored_key() -> bytes:
    """Return the key kept in the state folder, made (0600) at first use; a random one where that fails."""
    from platformdirs import user_state_path

    path = user_state_path("pondctl") / "pseudonym.key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _read_key(path) or _make_key(path)
    except OSError:
        # No home, or a read-only one: lines of one process still belong together.
        return secrets.token_bytes(_KEY_BYTES)


def _read_key(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            others = os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            key = file.read(_KEY_BYTES)
    except FileNotFoundError:
        return None
    # A key that others could read, or that was cut by a kill, protects nothing.
    if others or len(key) < _KEY_BYTES:
        raise PermissionError(path)
    return key


def _make_key(path: Path) -> bytes:
    key = secrets.token_bytes(_KEY_BYTES)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(0o600, exist_ok=False)
    try:
        draft.write_bytes(key)
        os.link(draft, path)
    except FileExistsError:  # another process was first: its key is the key
        return _read_key(path) or key
    finally:
        draft.unlink()
    return key


_key = _Key()


def bind_key(key: bytes | Callable[[], bytes]) -> None:
    """Use this key for pseudonyms from now on, or ask this function for it at the first identifier."""
    _key.bind(key)


def pseudonym(identifier: str) -> str:
    """Return `dev:` and eight characters that stand for this identifier under the bound key."""
    digits = "".join(str(int(char)) if char.isdecimal() else char for char in identifier if char.isalnum())
    bare = digits[:-1] if digits[-1:] in ("F", "f") else digits
    mac = hmac.new(_key.value(), bare.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return "dev:" + base64.b32encode(mac[:5]).decode("ascii").lower()


def hide_identifiers(text: str) -> str:
    """Return `text` with everything that looks like an ICCID, MSISDN, IMSI or IMEI replaced."""
    return _IDENTIFIERS.sub(lambda found: found[0] if found["keep"] else pseudonym(found[0]), text)
