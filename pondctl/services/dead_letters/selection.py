"""Which dead letters a person means: by id, or all that match, not one page of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from pondctl.db.database import Database
from pondctl.db.dead_letters import OPEN
from pondctl.db.records import DeadLetterFilter, DeadLetterHead
from pondctl.db.unit import Unit
from pondctl.errors import UsageError
from pondctl.models import Carrier, normalize_iccid
from pondctl.services._visible import visible_letters

if TYPE_CHECKING:
    from pondctl.services.queueing.dispatch import Rules

_PAGE: Final = 500
# Of how many bulk changes that hold a device the letters are looked at; the newest ones.
_BULK_CHANGES: Final = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; every field that is given narrows. `state` None: in any state."""

    state: str | None = OPEN
    bulk_change_id: int | None = None
    iccid: str | None = None
    category: str | None = None
    carrier: Carrier | None = None
    text: str | None = None
    since_seconds: float | None = None
    older_than_seconds: float | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything but the state is given."""
        return replace(self, state=None) != Wanted(state=None)


@dataclass(slots=True)
class Scope:
    """What an action is about: the letters, and what can be said of them. `missing`: ids that are none."""

    ids: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    categories: Counter[str] = field(default_factory=Counter)
    bulk_changes: set[int | None] = field(default_factory=set)
    oldest: datetime | None = None

    def add(self, head: DeadLetterHead) -> None:
        """One more letter."""
        self.ids.append(head.id)
        self.categories[head.category] += 1
        self.bulk_changes.add(head.bulk_change_id)
        self.oldest = min(self.oldest or head.created_at, head.created_at)

    def describe(self) -> str:
        """In one line, for the question and the record."""
        kinds = ", ".join(f"{count:,} {category}" for category, count in self.categories.most_common(8))
        since = f", the oldest of {self.oldest:%Y-%m-%d %H:%M} UTC" if self.oldest else ""
        about = f" of {len(self.bulk_changes):,} bulk change{'' if len(self.bulk_changes) == 1 else 's'}"
        plural = "" if len(self.ids) == 1 else "s"
        return f"{len(self.ids):,} dead letter{plural}{about} ({kinds}{since})"


def heads(database: Database, wanted: Wanted, rules: Rules | None) -> Iterator[DeadLetterHead]:
    """All letters that match, oldest first; read page by page, so that memory stays flat.

    `rules` tell the carrier, where one is wanted.
    """
    which = database.read(partial(filter_of, wanted))
    after = 0
    while True:
        page, seen = database.read(partial(_page, which, after))
        if not page:
            return
        after = page[-1].id
        yield from (
            seen
            if wanted.carrier is None or rules is None
            else _of_carrier(database, seen, wanted.carrier, rules)
        )


def filter_of(wanted: Wanted, unit: Unit) -> DeadLetterFilter:
    """The same in the database's terms. Raises `UsageError` for what is no ICCID."""
    iccid: str | None = None
    holding: tuple[int, ...] = ()
    if wanted.iccid is not None:
        iccid = normalize_iccid(wanted.iccid)
        if iccid is None:
            raise UsageError(f"--iccid {wanted.iccid[:40]!r} is no ICCID: 89 and 16 to 20 more digits")
        holding = tuple(sorted({row.bulk_change_id for row in unit.chosen_rows.naming([iccid])}))
    return DeadLetterFilter(
        state=wanted.state,
        category=wanted.category,
        bulk_change_id=wanted.bulk_change_id,
        text=wanted.text,
        within_seconds=wanted.since_seconds,
        older_than_seconds=wanted.older_than_seconds,
        iccid=iccid,
        iccid_bulk_changes=holding[-_BULK_CHANGES:],
    )


def scope_of(database: Database, ids: Sequence[int], wanted: Wanted, rules: Rules) -> Scope:
    """The letters with these ids, or all that match; their number is fixed from here on."""
    scope = Scope()
    if not ids:
        for head in heads(database, wanted, rules):
            scope.add(head)
        return scope
    # Those that may not be seen are refused one by one, by whoever acts on them.
    known = database.read(lambda unit: unit.dead_letters.heads_of(ids))
    for letter_id in dict.fromkeys(ids):
        if letter_id in known:
            scope.add(known[letter_id])
        else:
            scope.missing.append(letter_id)
    return scope


def _page(
    which: DeadLetterFilter, after: int, unit: Unit
) -> tuple[list[DeadLetterHead], list[DeadLetterHead]]:
    """All of the page, and those that may be seen."""
    page = unit.dead_letters.page_heads(which, after_id=after, limit=_PAGE)
    return page, visible_letters(unit, page)


def _of_carrier(
    database: Database, page: Sequence[DeadLetterHead], carrier: Carrier, rules: Rules
) -> list[DeadLetterHead]:
    ids = {head.bulk_change_id for head in page if head.bulk_change_id is not None}
    known = database.read(lambda unit: unit.open_work.find(ids))
    theirs = {
        bulk_change_id
        for bulk_change_id, found in known.items()
        if rules.carrier_of(found.bulk_change.service_provider_id) is carrier
    }
    return [head for head in page if head.bulk_change_id in theirs]
