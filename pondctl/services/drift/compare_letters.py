"""Dead letters that nobody needs any more: the carrier shows every device as it was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pondctl.db.dead_letters import OPEN
from pondctl.db.records import DeadLetterFilter, DeadLetterHead
from pondctl.db.scratch_sims import Sim
from pondctl.db.unit import Unit
from pondctl.models import BulkChange, Carrier, Device, DeviceChange, Operation, normalize_iccid
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.device import is_as_asked
from pondctl.services.drift.kinds import Drift, Kind, Mender
from pondctl.services.lifecycle.rows import operation_of, read_wish
from pondctl.services.syncing.judge import BadRequestError, target_of

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
                devices = "the device is" if rows == 1 else f"all {rows:,} devices are"
                yield Drift(
                    Kind.DEAD_LETTER_RIGHT,
                    bulk_change_id=letter.bulk_change_id,
                    here=f"dead letter {letter.id}: {letter.category}",
                    there=f"{devices} as asked for",
                    mend=f"discard dead letter {letter.id}",
                    mender=Mender.APPLY,
                    fix={"letter": letter.id},
                )

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
            return all(_shown_as_asked(row, devices.get(named[row.id])) for row in page)
        sims = c.sims.find(list(named.values()))
        return all(_holds_as_asked(row, sims.get(named[row.id])) for row in page)


def _row_page(bulk_change_id: int, after: int, unit: Unit) -> list[DeviceChange]:
    return unit.device_changes.page(bulk_change_id, after, _PAGE)


def _shown_as_asked(row: DeviceChange, device: Device | None) -> bool:
    try:
        target = target_of(row.change_request)
    except BadRequestError:
        return False
    return device is not None and is_as_asked(device.carrier_state, device.msisdn, target)


def _holds_as_asked(row: DeviceChange, sim: Sim | None) -> bool:
    """Of packages alone: services were not read, so nothing is said of suspending and resuming."""
    if sim is None or not sim.seen:
        return False
    wish = read_wish(row.change_request)
    match operation_of(row.change_request):
        case Operation.ACTIVATE:
            active = sim.active_types.split()
            wanted = wish.package_type_id
            return bool(active) if wanted is None else str(wanted) in active
        case Operation.TERMINATE:
            return not sim.standing
    return False
