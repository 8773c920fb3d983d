"""Text on its way into a page: visible, and never markup."""

from __future__ import annotations

import html
import json
from datetime import datetime
from typing import Final

from pondctl.output.safe import plain, shown, stamp

# The words of rows, in the order in which they are shown; each has a colour of its own.
ORDER: Final = ("done", "unchanged", "pending", "deferred", "skipped", "failed", "unknown", "untouched")
# What a carrier calls a state has the colour of what it means.
_STATES = {
    "active": "done",
    "settled well": "done",
    "pending activation": "pending",
    "with an error": "failed",
    "deactive": "failed",
    "suspend": "skipped",
    "pre active": "unchanged",
    "pending deactivation": "unknown",
}


def text(value: object) -> str:
    """The value as text of a page: what is no visible character is spelled out first."""
    return html.escape(shown(value, nothing=""), quote=True)


def colour(word: str) -> str:
    """The class that colours this outcome or state."""
    word = word.lower()
    known = word if word in ORDER else _STATES.get(word, "other")
    return f"c-{known}"


def place_of(word: str) -> int:
    """Where a state stands among others: what is well first."""
    known = colour(word).removeprefix("c-")
    return ORDER.index(known) if known in ORDER else len(ORDER)


def moment(when: datetime | None) -> str:
    """A time as people read it; the page says that all of them are UTC."""
    return "" if when is None else stamp(when, "seconds").removesuffix("Z").replace("T", " ")


def embedded(value: object) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    dumped = json.dumps(value, separators=(",", ":"))
    return dumped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def visible(value: str | None) -> str | None:
    """A text for the table: controls, direction marks and the like spelled out."""
    return None if value is None else plain(value)


def card(title: str, note: str, body: str) -> str:
    """A part of the page with a heading."""
    said = f'<p class="note">{note}</p>' if note else ""
    return f'<section class="card chart"><h2>{title}</h2>{said}{body}</section>\n'


def nothing(words: str) -> str:
    """What stands where there is nothing to show."""
    return f"<p>{words}</p>"


def span(seconds: float) -> str:
    """A length of time, short."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - one digit is enough
