"""How a `sync-bulk` ends: the header, the next check and the run's own end are one transaction."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import PondctlError, RunLostError, UnavailableError
from pondctl.models import BulkStatus, Outcome, Retry
from pondctl.services.queueing.deliveries import work_off
from pondctl.services.queueing.enqueue import queue_check
from pondctl.services.running.run import Run
from pondctl.services.syncing.next_check import Cause, CheckPolicy, NextCheck, decide_next, same_again
from pondctl.telemetry import metrics
from pondctl.telemetry.logger import Logger

_OPEN = (BulkStatus.NEW, BulkStatus.PENDING, BulkStatus.PROCESSING)
_log = Logger()


class SyncEnd:
    """Ends one run over one bulk change. `now` is database time at the run's beginning."""

    def __init__(
        self,
        database: Database,
        policy: CheckPolicy,
        rng: random.Random,
        *,
        queue_name: str,
        bulk_change_id: int,
        cause: Cause | None,
        enqueue: bool,
        now: datetime,
    ) -> None:
        self._database = database
        self._policy = policy
        self._rng = rng
        self._queue_name = queue_name
        self._bulk_change_id = bulk_change_id
        self._cause = cause
        self._enqueue = enqueue
        self._now = now

    def orderly(self, run: Run, counts: Mapping[Outcome, int], *, exhausted: bool) -> Retry | None:
        """Every row was looked at: close the header, or queue the next check."""
        check = decide_next(counts, self._cause, self._policy, self._now, self._rng)

        def end(unit: Unit) -> Retry | None:
            run.fence(unit)
            gave_up = exhausted or self._gave_up_before(unit)
            self._set_header(unit, counts, waiting=check is not None, exhausted=gave_up)
            self._work_off_cause(unit, exhausted=exhausted or (gave_up and not counts))
            retry = self._queue(unit, check)
            unit.runs.finish(run.run_id, "done", counts, None)
            return retry

        retry = self._database.write(end)
        if retry is not None:
            why = "retry" if counts.get(Outcome.DEFERRED) else "planned"
            metrics.count("pondctl_checks_queued_total", why=why)
        return retry

    def early(self, run: Run, counts: Mapping[Outcome, int], error: PondctlError) -> None:
        """Trouble ended the run; what was decided is saved. The same check is queued again where
        the trouble will pass by itself."""
        if isinstance(error, RunLostError):
            return
        passing = isinstance(error, UnavailableError)
        check = same_again(self._cause, self._policy, self._now, self._rng) if passing else None

        def end(unit: Unit) -> None:
            run.fence(unit)
            if counts:
                unit.bulk_changes.set_status(self._bulk_change_id, BulkStatus.PROCESSING, from_statuses=_OPEN)
            if check is not None:
                self._work_off_cause(unit, exhausted=False)
            self._queue(unit, check)

        try:
            self._database.write(end)
        except PondctlError as trouble:
            # The trouble that ended the run is the one to tell; the bulk change stays open.
            _log.warning("the check could not be queued again", error=trouble.message)

    def _gave_up_before(self, unit: Unit) -> bool:
        """Whether a run gave rows up and was killed before it could close the header."""
        header = unit.bulk_changes.get(self._bulk_change_id)
        return header.status in _OPEN and unit.device_changes.has_given_up(self._bulk_change_id)

    def _set_header(
        self, unit: Unit, counts: Mapping[Outcome, int], *, waiting: bool, exhausted: bool
    ) -> None:
        headers = unit.bulk_changes
        if waiting or unit.device_changes.count_unsettled(self._bulk_change_id):
            headers.set_status(self._bulk_change_id, BulkStatus.PROCESSING)
        elif exhausted:
            headers.set_status(self._bulk_change_id, BulkStatus.ERROR)
        else:
            # A run that found nothing to do does not turn ERROR into PROCESSED.
            closable = None if counts else _OPEN
            headers.set_status(self._bulk_change_id, BulkStatus.PROCESSED, from_statuses=closable)

    def _work_off_cause(self, unit: Unit, *, exhausted: bool) -> None:
        if self._cause is not None and self._cause.delivery is not None:
            work_off(unit, self._cause.delivery, exhausted=exhausted)

    def _queue(self, unit: Unit, check: NextCheck | None) -> Retry | None:
        if check is None or not self._enqueue:
            return None
        return queue_check(unit, self._queue_name, self._bulk_change_id, check, self._cause)
