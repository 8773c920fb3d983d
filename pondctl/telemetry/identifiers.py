"""Device identifiers leave for logs only as pseudonyms: `dev:` and a keyed hash.

An unkeyed hash would be no protection: all ten-digit numbers are hashed in hours. With the key an
operator can find the line about a device, without it nobody can find the device of a line. Each device
has a key of its own beside it (`device_keys`), which `pondctl device forget` destroys.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import threading
from collections.abc import Callable
from functools import lru_cache

from pondctl.telemetry.device_keys import DeviceKeys
from pondctl.telemetry.host_keys import KEY_BYTES, host_key

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


class _Keys:
    """The keys of this process: given, or read from their source at the first identifier."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._source: Callable[[], bytes] = stored_key
        self._value: bytes | None = None
        self._devices: DeviceKeys | None = None

    def bind(self, key: bytes | Callable[[], bytes]) -> None:
        with self._lock:
            self._value = key if isinstance(key, bytes) else None
            self._source = stored_key if isinstance(key, bytes) else key
            _stands_for.cache_clear()

    def bind_devices(self, devices: DeviceKeys | None) -> None:
        with self._lock:
            self._devices = devices
            _stands_for.cache_clear()

    def sign(self, bare: str) -> bytes:
        with self._lock:
            if self._value is None:
                self._value = self._source()
            own = self._devices.key_of(bare) if self._devices else b""
            message = own + bare.encode("utf-8", "surrogatepass")
            return hmac.digest(self._value, message, "sha256")


def stored_key() -> bytes:
    """Return the key kept in the state folder, made (0600) at first use; a random one where that fails."""
    try:
        return host_key("pseudonym")
    except OSError:
        # No home, or a read-only one: lines of one process still belong together.
        return secrets.token_bytes(KEY_BYTES)


@lru_cache(maxsize=8192)
def _stands_for(bare: str) -> str:
    return "dev:" + base64.b32encode(_keys.sign(bare)[:5]).decode("ascii").lower()


_keys = _Keys()


def bind_key(key: bytes | Callable[[], bytes]) -> None:
    """Use this key for pseudonyms from now on, or ask this function for it at the first identifier."""
    _keys.bind(key)


def bind_device_keys(devices: DeviceKeys | None) -> None:
    """Key each pseudonym with its device's own key, too, so that a single one can be forgotten."""
    _keys.bind_devices(devices)


def bare(identifier: str) -> str:
    """The identifier without punctuation and filler, its digits ASCII: what a pseudonym stands for."""
    if identifier.isascii() and identifier.isdecimal():
        return identifier
    digits = "".join(str(int(char)) if char.isdecimal() else char for char in identifier if char.isalnum())
    return digits[:-1] if digits[-1:] in ("F", "f") else digits


def pseudonym(identifier: str) -> str:
    """Return `dev:` and eight characters that stand for this identifier under the bound keys."""
    return _stands_for(bare(identifier))


def hide_identifiers(text: str) -> str:
    """Return `text` with everything that looks like an ICCID, MSISDN, IMSI or IMEI replaced."""
    return _IDENTIFIERS.sub(lambda found: found[0] if found["keep"] else pseudonym(found[0]), text)
