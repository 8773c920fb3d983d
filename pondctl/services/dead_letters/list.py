"""The list of dead letters: one line each, without what the message carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pondctl.db.database import Database
from pondctl.db.records import DeadLetterFilter, DeadLetterHead
from pondctl.db.unit import Unit
from pondctl.services._visible import visible_letters
from pondctl.services.dead_letters.selection import Wanted, filter_of, heads

if TYPE_CHECKING:
    from pondctl.services.queueing.dispatch import Rules

# Beyond this a list says "more than": counting must not take longer than showing.
COUNTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines of a list, and what it left out."""

    lines: Iterable[Mapping[str, object]]
    more: str | None = None


def list_letters(database: Database, wanted: Wanted, rules: Rules | None, limit: int | None) -> Listing:
    """The first letters that match (None: all of them), oldest first."""
    if limit is None:
        return Listing(map(line_of, heads(database, wanted, rules)))
    if wanted.carrier is not None or database.host_tables.service_provider_ids:
        found = [head for head, _ in zip(heads(database, wanted, rules), range(limit + 1), strict=False)]
        more = f"showing {limit:,}; --all for the rest" if len(found) > limit else None
        return Listing([line_of(head) for head in found[:limit]], more)
    return database.read(lambda unit: _first(unit, filter_of(wanted, unit), limit))


def _first(unit: Unit, which: DeadLetterFilter, limit: int) -> Listing:
    """One letter more is asked for, so that nothing is counted where nothing is left out."""
    found = unit.dead_letters.page_heads(which, limit=limit + 1)
    lines = [line_of(head) for head in found[:limit]]
    if len(found) <= limit:
        return Listing(lines)
    most = max(COUNTED, limit) + 1
    count = unit.dead_letters.count(which, most=most)
    total = f"{count:,}" if count < most else f"more than {most - 1:,}"
    return Listing(lines, f"showing {limit:,} of {total}; --all for the rest")


def page_lines(database: Database, wanted: Wanted, after: int, limit: int) -> list[dict[str, object]]:
    """The lines after an id, for those who go through them page by page; whatever the carrier."""

    def read(unit: Unit) -> list[DeadLetterHead]:
        which, last = filter_of(wanted, unit), after
        while page := unit.dead_letters.page_heads(which, after_id=last, limit=limit):
            if seen := visible_letters(unit, page):
                return seen
            last = page[-1].id
        return []

    return [line_of(head) for head in database.read(read)]


def count_letters(database: Database, wanted: Wanted) -> int:
    """How many match, whatever the carrier; counts no further than one above `COUNTED`."""
    if database.host_tables.service_provider_ids:
        return sum(1 for _ in zip(heads(database, wanted, None), range(COUNTED + 1), strict=False))
    return database.read(lambda unit: unit.dead_letters.count(filter_of(wanted, unit), most=COUNTED + 1))


def line_of(head: DeadLetterHead) -> dict[str, object]:
    """One line of a list. What the message carries is not in it."""
    return {
        "id": head.id,
        "state": head.state,
        "category": head.category,
        "bulk_change_id": head.bulk_change_id,
        "retry_number": head.retry_number,
        "created": head.created_at,
        "requeued": head.requeue_count,
        "changed_by": head.changed_by,
        "change_reason": head.change_reason,
        "reason": head.reason,
    }
