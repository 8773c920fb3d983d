"""Hold headers against their rows, and bulk changes with open rows against what is queued."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pondctl.db.batches import chunks
from pondctl.db.unit import Unit
from pondctl.models import BulkStatus
from pondctl.services.drift.bulk import HeaderFacts, judge_bulk_change
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import Drift

_PAGE: Final = 500
_ENDS: Final = (BulkStatus.PROCESSED, BulkStatus.ERROR)
# Older than anything (and still a 32-bit number): age is no reason to leave one alone here.
_ANY_AGE_SECONDS: Final = 60 * 365 * 86_400

Header = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class BulkSide:
    """Needs the tallies of the rows. `only`: these bulk changes; `quiet_seconds`: as a worker has it."""

    comparison: Comparison
    queue_name: str
    quiet_seconds: float
    only: Sequence[int] | None = None

    def run(self) -> None:
        """Look at every bulk change."""
        c = self.comparison
        for page in self._pages():
            if c.stop.is_set():
                c.complete = False
                return
            tallies = c.rows.tallies([header[0] for header in page])
            # Worth a second look, which is one at the database as it is now.
            odd = [h for h in page if h[0] in tallies and (h[1] not in _ENDS or tallies[h[0]][1])]
            if odd:
                c.add(self._judge([header[0] for header in odd]))

    def _pages(self) -> Iterator[list[Header]]:
        database = self.comparison.database
        if self.only is not None:
            for ids in chunks(self.only, _PAGE):
                yield database.read(partial(_named_headers, ids))
            return
        after = 0
        while page := database.read(partial(_next_headers, after)):
            after = page[-1][0]
            yield page

    def _judge(self, ids: Sequence[int]) -> Iterator[Drift]:
        for facts in self.comparison.database.read(partial(self._facts, ids)):
            yield from judge_bulk_change(facts)

    def _facts(self, ids: Sequence[int], unit: Unit) -> list[HeaderFacts]:
        now = unit.bulk_changes.find(ids)
        unsettled = unit.compared_rows.unsettled_counts(list(ids))
        leased = unit.open_intents.leased_bulk_changes()
        coming = unit.deliveries.coming(self.queue_name, ids)
        forgotten = self._forgotten(unit, ids)
        return [
            HeaderFacts(
                bulk_change.id,
                bulk_change.status,
                unsettled=unsettled.get(bulk_change.id, 0),
                carrier=self.comparison.carrier_of(bulk_change.service_provider_id),
                is_leased=bulk_change.id in leased,
                is_forgotten=bulk_change.id in forgotten,
                is_coming=bulk_change.id in coming,
            )
            for bulk_change in now.values()
        ]

    def _forgotten(self, unit: Unit, ids: Sequence[int]) -> set[int]:
        """Those that were begun and that nobody is seen to work on."""
        found: set[int] = set()
        after = min(ids) - 1
        while page := unit.open_work.page_forgotten(
            after, _PAGE, oldest_seconds=_ANY_AGE_SECONDS, quiet_seconds=self.quiet_seconds
        ):
            after = page[-1].id
            found.update(bulk_change.id for bulk_change in page)
            if after >= max(ids):
                break
        return found


def _named_headers(ids: Sequence[int], unit: Unit) -> list[Header]:
    return [(b.id, b.status, b.service_provider_id) for b in unit.bulk_changes.find(ids).values()]


def _next_headers(after: int, unit: Unit) -> list[Header]:
    return unit.compared_rows.headers(after, _PAGE)
