"""Why a row failed, and which failures may be tried again on whose word. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from pondctl.errors import Category, UsageError

# Beside the categories: a write whose answer was lost, and a row that somebody else failed.
UNKNOWN: Final = "unknown"
OTHER: Final = "other"

TEMPORARY: Final = frozenset(
    {Category.RATE_LIMITED, Category.NETWORK, Category.CARRIER_UNAVAILABLE, Category.DATABASE}
)
DEFAULT: Final[frozenset[str]] = TEMPORARY | {Category.RETRIES_EXHAUSTED, UNKNOWN}
# Refused credentials are nobody's temporary trouble, but a person who has mended them needs no excuse.
NEED_NO_REASON: Final[frozenset[str]] = DEFAULT | {Category.AUTHENTICATION}
_CATEGORIES: Final = {str(category): category for category in Category}
ALL: Final = (*_CATEGORIES, UNKNOWN, OTHER)


def chosen_failures(words: Sequence[str], reason: str | None) -> frozenset[str]:
    """The failures that are taken; none named: those that may pass by themselves.

    Raises `UsageError` for a word that is none, and where a permanent one is named without a reason.
    """
    if not words:
        return DEFAULT
    chosen = frozenset(word.strip().lower() for word in words)
    strange = sorted(chosen.difference(ALL))
    if strange:
        raise UsageError(f"--category {strange[0][:40]!r} is no category", hint=f"known: {', '.join(ALL)}")
    permanent = sorted(chosen - NEED_NO_REASON)
    if permanent and not (reason or "").strip():
        raise UsageError(
            f"{', '.join(permanent)}: trying that again needs a reason",
            hint='add --reason "what has changed"',
        )
    return chosen


def failure_of(status_details: str | None, kept: Category | None) -> str:
    """Why a row failed: what pondctl wrote into `StatusDetails`, else the category kept with its last run.

    `kept` counts only where the row says nothing: other words are the host's own, and newer.
    """
    text = (status_details or "").strip()
    if not text:
        return kept or OTHER
    word = text.partition(":")[0].strip().lower()
    if word in _CATEGORIES:
        return word
    return Category.CANCELLED if text.lower().startswith("cancelled") else OTHER


def says_nothing(status_details: str | None) -> bool:
    """Whether the row leaves open why it failed."""
    return not (status_details or "").strip()


def as_category(failure: str) -> Category:
    """The category that an outcome carries for a failure; what has none of its own is a person's decision."""
    return _CATEGORIES.get(failure, Category.GUARDED)


def in_order(failures: Collection[str]) -> list[str]:
    """The failures in the order in which the categories are listed everywhere."""
    return [word for word in ALL if word in failures]
