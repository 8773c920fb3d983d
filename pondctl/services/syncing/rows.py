"""Write verdicts to the rows of a bulk change: in batches, each one transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from pondctl.db.database import Database
from pondctl.db.observations import Seen
from pondctl.db.records import ChangeLogEntry
from pondctl.db.unit import Unit
from pondctl.errors import Category
from pondctl.models import BulkStatus, Carrier, DeviceOutcome, Outcome
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run
from pondctl.services.syncing.judge import Effect, Verdict, status_details

_BATCH = 1000
_BATCH_SECONDS = 1.0
_QUIET = (Outcome.DONE, Outcome.UNCHANGED)


class RowWriter:
    """Collects verdicts and writes them; `counts` covers what is written (or would be, in a dry run)."""

    def __init__(self, database: Database, bulk_change_id: int, run: Run | None, report: Report) -> None:
        self._database = database
        self._bulk_change_id = bulk_change_id
        self._run = run
        self._report = report
        self._batch: list[tuple[Verdict, bool]] = []
        self._batch_began = time.monotonic()
        self.counts: Counter[Outcome] = Counter()
        if run is not None:
            run.counts = self.counts
        # Rows that will not be looked at again by themselves: the header ends in ERROR.
        self.exhausted = False

    def add(self, verdict: Verdict, *, logged: bool = True) -> None:
        """Take one verdict; writes when the batch is full or a second old.

        Not `logged`: a scan showed it, and is summed up in one log entry instead of one for each row.
        """
        if not self._batch:
            self._batch_began = time.monotonic()
        self._batch.append((verdict, logged))
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write what has waited for a second."""
        old = time.monotonic() - self._batch_began >= _BATCH_SECONDS
        if len(self._batch) >= _BATCH or (self._batch and old):
            self.flush()

    def flush(self) -> None:
        """Write the batch in one transaction, then report its devices."""
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        outcomes = [verdict.outcome for verdict, _ in batch]
        if self._run is not None:
            self._database.write(self._writing(self._run, batch, outcomes))
        self.counts.update(outcome.outcome for outcome in outcomes)
        self.exhausted |= any(o.category is Category.RETRIES_EXHAUSTED for o in outcomes)
        self._report.devices(outcomes)
        self._report.advance(len(outcomes))

    def _writing(
        self, run: Run, batch: Sequence[tuple[Verdict, bool]], outcomes: Sequence[DeviceOutcome]
    ) -> Callable[[Unit], None]:
        seen = [Seen(o.iccid, o.carrier_state, o.msisdn) for o in outcomes if o.carrier_state]

        def write(unit: Unit) -> None:
            run.fence(unit)
            _apply(unit, [verdict for verdict, _ in batch])
            unit.observations.add_changes(Carrier.THINGSPACE, seen, run.run_id)
            news = [v.outcome for v, logged in batch if logged and _is_news(v)]
            unit.change_log.add([self._entry(run, outcome) for outcome in news])
            unit.outcomes.add(run.run_id, [o for o in outcomes if o.outcome not in _QUIET])

        return write

    def _entry(self, run: Run, outcome: DeviceOutcome) -> ChangeLogEntry:
        refused = outcome.outcome in (Outcome.FAILED, Outcome.SKIPPED)
        return ChangeLogEntry(
            bulk_change_id=self._bulk_change_id,
            device_change_id=outcome.device_change_id,
            description=f"pondctl sync-bulk: {outcome.outcome}",
            has_errors=refused,
            error_text=status_details(outcome) if refused else None,
            request_text=f"run {run.run_id}: read the device at ThingSpace",
            response_text=outcome.carrier_state or outcome.detail,
            response_status=_RESPONSE_STATUS.get(outcome.outcome, BulkStatus.PENDING),
        )


_RESPONSE_STATUS = {
    Outcome.DONE: BulkStatus.PROCESSED,
    Outcome.UNCHANGED: BulkStatus.PROCESSED,
    Outcome.FAILED: BulkStatus.API_FAILED,
    Outcome.SKIPPED: BulkStatus.API_FAILED,
}


def _is_news(verdict: Verdict) -> bool:
    """A device that stays as it was for 96 checks leaves one log entry, not 96."""
    return verdict.effect is not Effect.NOTHING or (
        verdict.changed and verdict.outcome.outcome in (Outcome.FAILED, Outcome.SKIPPED)
    )


def _apply(unit: Unit, batch: Sequence[Verdict]) -> None:
    rows: dict[Effect, list[DeviceOutcome]] = {effect: [] for effect in Effect}
    for verdict in batch:
        rows[verdict.effect].append(verdict.outcome)
    changes = unit.device_changes
    changes.set_active([(_row_id(o), o.msisdn or "") for o in rows[Effect.NUMBER]])
    changes.settle_done([_row_id(o) for o in rows[Effect.SETTLED]])
    changes.settle_failed([(_row_id(o), status_details(o)) for o in rows[Effect.FAILED]])
    changes.note_state([(_row_id(o), status_details(o)) for o in rows[Effect.NOTED]])


def _row_id(outcome: DeviceOutcome) -> int:
    if outcome.device_change_id is None:
        raise AssertionError("a row of a bulk change has an id")
    return outcome.device_change_id
