"""The devices of a bulk change for a report: one row each, and what all of them come to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from pondctl.db.database import Database
from pondctl.db.observations import Observation
from pondctl.db.report_rows import ReportRow
from pondctl.db.row_counts import RowCount
from pondctl.db.unit import Unit
from pondctl.models import Carrier, Outcome, normalize_iccid
from pondctl.services._standing import category_of, outcome_of
from pondctl.services.reporting.timeline import Timeline

_PAGE: Final = 1000
# So many different reasons are counted; a carrier that words each refusal anew must not fill the memory.
_REASONS: Final = 2000

Row = Mapping[str, object]
_Seen = Mapping[str, Sequence[Observation]]


class DeviceWalk:
    """Reads the devices page by page; what they come to is complete once the last one was handed out."""

    def __init__(
        self, database: Database, bulk_change_id: int, carrier: Carrier | None, start: datetime
    ) -> None:
        self._database = database
        self._bulk_change_id = bulk_change_id
        self._carrier = carrier
        self.states = Timeline(start)
        self.settled = Timeline(start)
        self.outcomes: Counter[str] = Counter()
        self.categories: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def rows(self) -> Iterator[Row]:
        """One row for each device change, by id."""
        about = (self._bulk_change_id,)
        found = self._database.read(lambda unit: unit.bulk_facts.unresolved_row_ids(about))
        lost = found.get(self._bulk_change_id, set())
        after = 0
        while page := self._database.read(self._reader(after)):
            after = page[-1].id
            iccids = {row.id: normalize_iccid(row.iccid) for row in page}
            seen = self._seen({iccid for iccid in iccids.values() if iccid})
            for row in page:
                yield self._row(row, iccids[row.id], seen, lost)

    def _reader(self, after: int) -> _ReadPage:
        return _ReadPage(self._bulk_change_id, after)

    def _seen(self, iccids: Collection[str]) -> _Seen:
        """What the carrier of the bulk change was seen to say about these devices, oldest first."""
        found: defaultdict[str, list[Observation]] = defaultdict(list)
        for each in self._database.read(lambda unit: unit.observations.history(iccids)):
            if self._carrier is None or each.carrier == self._carrier:
                found[each.iccid].append(each)
        return found

    def _row(self, row: ReportRow, iccid: str | None, seen: _Seen, lost: Collection[int]) -> Row:
        about = RowCount(row.is_processed, row.has_errors, row.details, 1)
        outcome, category = outcome_of(about), category_of(about)
        if row.id in lost and not row.is_processed:
            outcome = Outcome.UNKNOWN
        history = seen.get(iccid, ()) if iccid else ()
        state = history[-1].state if history else None
        reason = None if row.is_processed and not row.has_errors else _reason(row.details, category)
        # A carrier that names the device in its refusal says the same of all of them.
        said = reason.replace(iccid, "(this device)") if reason and iccid else reason
        self._count(row, str(outcome), category, said, history)
        return {
            "id": str(row.id),
            "iccid": iccid or row.iccid,
            "msisdn": row.msisdn,
            "outcome": str(outcome),
            "category": category,
            "carrier_state": state,
            "reason": None if reason == state else reason,
            "changed": row.changed_at,
        }

    def _count(
        self,
        row: ReportRow,
        outcome: str,
        category: str | None,
        reason: str | None,
        history: Sequence[Observation],
    ) -> None:
        self.outcomes[outcome] += 1
        self.states.add(history)
        if row.is_processed and row.changed_at is not None:
            self.settled.move(row.changed_at, None, "with an error" if row.has_errors else "settled well")
        if category is None:
            return
        self.categories[category] += 1
        if reason and (reason in self.reasons or len(self.reasons) < _REASONS):
            self.reasons[reason] += 1


class _ReadPage:
    """Reads one page; a unit may be redone, so it holds no state of its own."""

    def __init__(self, bulk_change_id: int, after: int) -> None:
        self._bulk_change_id = bulk_change_id
        self._after = after

    def __call__(self, unit: Unit) -> list[ReportRow]:
        return unit.report_rows.page(self._bulk_change_id, self._after, _PAGE)


def _reason(details: str | None, category: str | None) -> str | None:
    return details.removeprefix(f"{category}:").strip() or None if details else None
