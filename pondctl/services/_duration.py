"""A length of time as people type it: `90`, `90s`, `50m`, `8h`, `2d`."""

from __future__ import annotations

import re
from typing import Final

from pondctl.errors import UsageError

_LENGTH: Final = re.compile(r"([0-9]{1,9})(\.[0-9]{1,3})? ?(s|m|min|h|d)?")
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, None: 1}


def read_duration(text: str, *, option: str = "--max-runtime") -> float:
    """Return it in seconds; a bare number is seconds. Raises `UsageError` for anything else, and for 0."""
    match = _LENGTH.fullmatch(text.strip().lower())
    seconds = float(match[1] + (match[2] or "")) * _UNITS[match[3]] if match else 0.0
    if not seconds:
        raise UsageError(f"{option} {text[:40]!r} is no length of time", hint="90s, 50m, 8h")
    return seconds
