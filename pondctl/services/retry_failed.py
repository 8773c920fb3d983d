"""Device changes that ended failed or unknown: once more, now or by a queued check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.models import Carrier, DeviceChange, DeviceOutcome, Outcome, Retry, RunResult, Stop
from pondctl.services._row_ids import RowIds
from pondctl.services.failures.reasons import as_category, failure_of
from pondctl.services.failures.scope import FailedScope, Share
from pondctl.services.failures.take_again import COMMAND, TakeAgain
from pondctl.services.failures.ways import RetryRequest, Ways
from pondctl.services.queueing.enqueue import queue_check
from pondctl.services.queueing.outbox import Outbox
from pondctl.services.running.actor import Actor
from pondctl.services.running.parts import Frame, Parts, all_parts
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run, new_run_id
from pondctl.services.syncing.next_check import NextCheck

# More devices than this are confirmed.
CONFIRMED_ABOVE: Final = 10
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class RetryFailed:
    """Everything `retry-failed` works with; `run` does it once."""

    database: Database
    ways: Ways
    actor: Actor
    queue_name: str
    stop: Stop
    outbox: Outbox | None = None
    life_checks_are_taken: bool = False

    @property
    def request(self) -> RetryRequest:
        """What is asked for."""
        return self.ways.request

    def run(self, scope: FailedScope, report: Report) -> RunResult:
        """Work on one bulk change after the other.

        Raises what forbids any of it before anything is begun, `BusyError` where nothing could be begun,
        and else the worst trouble at the end, when all that could be done is saved.
        """
        request = self.request
        if not request.enqueue:
            self.ways.check(scope)
        shares = [scope.shares[bulk_change_id] for bulk_change_id in sorted(scope.shares)]
        frame = Frame(
            command=COMMAND,
            run_id=new_run_id(),
            database=self.database,
            stop=self.stop,
            actor=self.actor,
            arguments={"enqueue": request.enqueue, "workers": request.workers, "devices": len(scope)},
            total=len(scope),
            outbox=self.outbox,
            bulk_change_id=shares[0].bulk_change.id if len(shares) == 1 else None,
            several=len(shares) > 1,
            dry_run=request.dry_run,
        )
        with all_parts(frame, report) as parts:
            for share in shares:
                self._work(share, scope, parts)
            return parts.finish(self._hints(shares))

    def _work(self, share: Share, scope: FailedScope, parts: Parts) -> None:
        bulk_change_id = share.bulk_change.id

        def job(run: Run | None, report: Report) -> RunResult:
            if run is None:
                return self._show(share, report)
            again = TakeAgain(self.database, run, bulk_change_id, self.request.reason)
            again.refuse_what_was_taken(scope.at)
            if self.request.enqueue:
                return self._enqueue(share, again, run, report)
            taken = again.reopen(RowIds(share.failed))
            self._tell_missing(share, taken, report)
            return self.ways.go(share, RowIds(chain(taken, share.open)), run, report)

        parts.work(bulk_change_id, share.carrier, job)

    def _show(self, share: Share, report: Report) -> RunResult:
        """A dry run asks the carrier what the rows would come to; of a queued check nobody can know."""
        rows = RowIds(share.failed + share.open)
        if not self.request.enqueue:
            return self.ways.go(share, rows, None, report)
        return self._queued(share, rows, Retry(0, 0), "", report)

    def _enqueue(self, share: Share, again: TakeAgain, run: Run, report: Report) -> RunResult:
        """One message for the whole bulk change, with the first batch: an early message is harmless."""
        bulk_change_id = share.bulk_change.id
        queued: list[Retry] = []

        def queue(unit: Unit) -> None:
            run.fence(unit)
            check = NextCheck(retry_number=0, delay_seconds=0, pending_since=unit.now(), stalled=0)
            queued[:] = [queue_check(unit, self.queue_name, bulk_change_id, check, None)]

        taken = again.reopen(RowIds(share.failed), also=queue)
        self._tell_missing(share, taken, report)
        if share.open:
            self.database.write(queue)
        retry = queued[0] if queued else None
        result = self._queued(share, RowIds(chain(taken, share.open)), retry, run.run_id, report)
        run.counts = result.counts
        self.database.write(lambda unit: unit.runs.finish(run.run_id, "done", result.counts, None))
        return result

    def _queued(
        self, share: Share, rows: RowIds, retry: Retry | None, run_id: str, report: Report
    ) -> RunResult:
        for page in self._pages(share, rows):
            report.devices([_as_queued(row) for row in page])
        counts = {Outcome.DEFERRED: len(rows)} if len(rows) else {}
        return RunResult(COMMAND, run_id, counts, bulk_change_id=share.bulk_change.id, retry=retry)

    def _tell_missing(self, share: Share, taken: RowIds, report: Report) -> None:
        """Rows that are no longer failed: somebody has settled or reopened them since they were chosen."""
        if len(taken) == len(share.failed):
            return
        missing = RowIds(set(share.failed) - set(taken))
        for page in self._pages(share, missing):
            report.devices([_as_unchanged(row) for row in page])

    def _pages(self, share: Share, rows: RowIds) -> Iterator[Sequence[DeviceChange]]:
        bulk_change_id = share.bulk_change.id
        for chunk in rows.chunks(_BATCH):
            yield self.database.read(_reading(bulk_change_id, chunk))

    def _hints(self, shares: Sequence[Share]) -> list[str]:
        writes = [str(s.bulk_change.id) for s in shares if s.carrier is Carrier.POND]
        if not (self.request.enqueue and writes) or self.life_checks_are_taken:
            return []
        named = ", ".join(writes[:20])
        return [f"bulk change {named}: only a worker with queue.accept_writes takes a check of POND's"]


def _reading(bulk_change_id: int, ids: list[int]) -> Callable[[Unit], list[DeviceChange]]:
    return lambda unit: unit.chosen_rows.among(bulk_change_id, ids)


def _as_queued(row: DeviceChange) -> DeviceOutcome:
    return _as_unchanged(row)._replace(
        outcome=Outcome.DEFERRED,
        category=as_category(failure_of(row.status_details, None)),
        detail="a check is queued",
    )


def _as_unchanged(row: DeviceChange) -> DeviceOutcome:
    return DeviceOutcome(
        row.iccid or "",
        Outcome.UNCHANGED,
        msisdn=row.msisdn,
        detail="no longer failed",
        device_change_id=row.id,
    )
