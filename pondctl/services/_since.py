"""A point in time as people type it: `2h`, `3d`, `2026-11-23`, `2026-11-23T08:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pondctl.errors import UsageError
from pondctl.services._duration import read_duration

_AGO = re.compile(r"[0-9.]+ ?[A-Za-z]+")


def read_since(text: str, now: datetime) -> datetime:
    """Return it as naive UTC, counted back from `now` (database time); a time without a zone is UTC.

    Raises `UsageError` for what is neither an age nor a date, and for a time that is yet to come.
    """
    word = text.strip()
    try:
        if _AGO.fullmatch(word):
            return now - timedelta(seconds=read_duration(word, option="--since"))
        when = datetime.fromisoformat(word)
        since = when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {word[:40]!r} is neither an age nor a date",
            hint="2h, 3d, 2026-11-23, 2026-11-23T08:00Z",
        ) from None
    if since > now:
        raise UsageError(
            f"--since {word[:40]!r} is still to come: it is {now:%Y-%m-%dT%H:%M}Z at the database"
        )
    return since
