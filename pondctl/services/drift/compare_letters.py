"""Dead letters that nobody needs any more: the carrier shows every device as it was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pondctl.db.dead_letters import OPEN
from pondctl.db.records import DeadLetterFilter, DeadLetterHead
from pondctl.db.unit import Unit
from pondctl.models import BulkChange, Carrier, DeviceChange, normalize_iccid
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import Drift
from pondctl.services.drift.letters import holds_as_asked, right_letter, shown_as_asked

_PAGE: Final = 500


@dataclass(slots=True)
class LetterSide:
    """Needs both carriers' side to be read. `bulk_change_id`: of this bulk change alone."""

    comparison: Comparison
    bulk_change_id: int | None = None
    _rows: dict[int, int | None] = field(default_factory=dict)

    def run(self) -> None:
        """Look at every open letter about a bulk change."""
        c = self.comparison
        after = 0
        while page := c.database.read(partial(self._letters, after)):
            after = page[-1].id
            if c.stop.is_set():
                c.complete = False
                return
            c.add(self._judge(page))

    def has_any(self) -> bool:
        """Whether there is such a letter."""
        return bool(self.comparison.database.read(partial(self._letters, 0)))

    def _letters(self, after: int, unit: Unit) -> list[DeadLetterHead]:
        which = DeadLetterFilter(state=OPEN, bulk_change_id=self.bulk_change_id)
        return unit.dead_letters.page_heads(which, after_id=after, limit=_PAGE)

    def _judge(self, page: Sequence[DeadLetterHead]) -> Iterator[Drift]:
        about = {letter.bulk_change_id for letter in page if letter.bulk_change_id is not None}
        known = self.comparison.database.read(lambda unit: unit.bulk_changes.find(sorted(about)))
        # A letter beside its neighbours: what was worked out for one bulk change serves the whole page.
        self._rows = {}
        for letter in page:
            bulk_change = known.get(letter.bulk_change_id or 0)
            rows = None if bulk_change is None else self._rows_as_asked(bulk_change)
            if rows:
                yield right_letter(letter, rows)

    def _rows_as_asked(self, bulk_change: BulkChange) -> int | None:
        """How many rows the bulk change has, where the carrier shows every device as asked for."""
        if bulk_change.id not in self._rows:
            self._rows[bulk_change.id] = self._count_as_asked(bulk_change)
        return self._rows[bulk_change.id]

    def _count_as_asked(self, bulk_change: BulkChange) -> int | None:
        c = self.comparison
        carrier = c.carrier_of(bulk_change.service_provider_id)
        after = count = 0
        while page := c.database.read(partial(_row_page, bulk_change.id, after)):
            after = page[-1].id
            count += len(page)
            if carrier is None or not self._all_as_asked(page, carrier):
                return None
        return count

    def _all_as_asked(self, page: Sequence[DeviceChange], carrier: Carrier) -> bool:
        c = self.comparison
        named = {row.id: normalize_iccid(row.iccid) or "" for row in page}
        if carrier is Carrier.THINGSPACE:
            devices = c.file.find(list(named.values()))
            return all(shown_as_asked(row, devices.get(named[row.id])) for row in page)
        sims = c.sims.find(list(named.values()))
        return all(holds_as_asked(row, sims.get(named[row.id])) for row in page)


def _row_page(bulk_change_id: int, after: int, unit: Unit) -> list[DeviceChange]:
    return unit.device_changes.page(bulk_change_id, after, _PAGE)
