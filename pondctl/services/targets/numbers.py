"""How a phone number may be written by a host."""

from __future__ import annotations

_NATIONAL = 10


def spelt(digits: str) -> list[str]:
    """A number with and without the country code of North America, which some hosts leave out."""
    digits = digits.removeprefix("+")
    written = [digits, f"+{digits}"]
    if len(digits) == _NATIONAL:
        written += [f"1{digits}", f"+1{digits}"]
    elif len(digits) == _NATIONAL + 1 and digits.startswith("1"):
        written.append(digits[1:])
    return written
