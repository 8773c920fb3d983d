"""Values on their way out: exact for machines, harmless for terminals and spreadsheets."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

NOTHING = "\u2013"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_ID_NAMES = {"id", "iccid", "msisdn", "imei", "imsi", "eid"}


def plain(text: str) -> str:
    """Spell out what is no visible character: controls, escapes, line ends, bidi marks, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown(value: object, nothing: str = NOTHING) -> str:
    """The value as one line of a table; `nothing` stands for None."""
    match value:
        case None:
            return nothing
        case bool():
            return "yes" if value else "no"
        case str():
            return plain(value)
        case datetime():
            return stamp(value, "seconds")
        case Mapping() | list() | tuple():
            return plain(_counts(value) or dumps(exact(value)))
        case _:
            return plain(str(value))


def _counts(value: object) -> str | None:
    if not isinstance(value, Mapping) or not all(type(count) is int for count in value.values()):
        return None
    return words((str(name), count) for name, count in value.items())


def csv_cell(value: object) -> str:
    """The value as a csv cell that no spreadsheet takes for a formula; numbers are left alone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = shown(value, nothing="")
    # A minus sign is part of a number; only text can be a formula.
    return f"'{text}" if isinstance(value, str) and value.startswith(_FORMULA) else text


def exact(value: object, key: str = "") -> object:
    """The value as JSON holds it, under `key`: ids as strings, times in UTC with Z, no NaN."""
    match value:
        case Mapping():
            return {str(name): exact(item, str(name)) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [exact(item, key) for item in value]
        case datetime():
            return stamp(value)
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | str():
            return value
        case _:
            return value if isinstance(value, int) and not _names_an_id(key) else str(value)


def dumps(value: object, indent: int | None = None) -> str:
    """JSON in visible ASCII: nothing in it can move a cursor, and any reader gets the exact value back."""
    # json leaves DEL alone; it can only stand inside a string, so it can be escaped afterwards.
    return json.dumps(value, allow_nan=False, indent=indent).replace("\x7f", "\\u007f")


def stamp(when: datetime, timespec: str = "auto") -> str:
    """ISO 8601 with Z; a time without a zone comes from the database and is UTC."""
    utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def words(items: Iterable[tuple[str, int]]) -> str:
    """Counts in a sentence: `3 done, 1,200 failed`."""
    return ", ".join(f"{count:,} {name}" for name, count in items)


def _names_an_id(key: str) -> bool:
    one = key.removesuffix("s").lower()
    return one in _ID_NAMES or one.endswith("_id")
