"""Device changes that ended failed or unknown: once more, now or by a queued check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.models import Carrier, DeviceOutcome, Outcome, Retry, RunResult, Stop
from pondctl.services._failed_rows import Scope, Share
from pondctl.services._failures import NEED_NO_REASON, as_category, in_order
from pondctl.services._next_check import NextCheck
from pondctl.services._outbox import Outbox
from pondctl.services._parts import Frame, Parts, all_parts
from pondctl.services._queueing import queue_check
from pondctl.services._report import Report
from pondctl.services._row_ids import RowIds
from pondctl.services._run import Actor, Run, new_run_id
from pondctl.services._take_again import COMMAND, TakeAgain
from pondctl.services.sync_bulk import SyncBulk, SyncRequest

CONFIRMED_ABOVE: Final = 10
_SHOWN_SHARES: Final = 20
_BATCH: Final = 1000


class LifeCycle(Protocol):
    """Works on chosen rows of a POND bulk change as their ChangeRequest says, reading back first."""

    def retry(self, share: Share, rows: RowIds, run: Run | None, report: Report) -> RunResult:
        """Do it within a run that holds the bulk change; None: a dry run."""


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """What one `retry-failed` is asked to do with its scope."""

    enqueue: bool = False
    workers: int = 8
    dry_run: bool = False
    reason: str | None = None


def scope_lines(scope: Scope) -> Iterator[str]:
    """The exact scope, for the person who decides."""
    shares = list(scope.shares.values())
    yield from map(str, shares[:_SHOWN_SHARES])
    if len(shares) > _SHOWN_SHARES:
        rest = sum(map(len, shares[_SHOWN_SHARES:]))
        yield f"and {rest:,} devices of {len(shares) - _SHOWN_SHARES:,} more bulk changes"
    if scope.cut:
        yield f"--limit: the first {len(scope):,} devices; more have failed"
    for failure in in_order(scope.passed_over):
        how = "" if failure in NEED_NO_REASON else " and --reason"
        yield f"left alone: {scope.passed_over[failure]:,} {failure} (needs --category {failure}{how})"


@dataclass(frozen=True, slots=True)
class RetryFailed:
    """Everything `retry-failed` works with; `run` does it once."""

    database: Database
    sync: SyncBulk
    life_cycle: LifeCycle
    actor: Actor
    queue_name: str
    stop: Stop
    outbox: Outbox | None = None

    def run(self, scope: Scope, request: RetryRequest, report: Report) -> RunResult:
        """Work on one bulk change after the other.

        Raises the worst trouble at the end, when all that could be begun is saved; `BusyError` where
        nothing could be begun.
        """
        shares = list(scope.shares.values())
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
                self._work(share, scope, request, parts)
            return parts.finish()

    def _work(self, share: Share, scope: Scope, request: RetryRequest, parts: Parts) -> None:
        bulk_change_id = share.bulk_change.id

        def job(run: Run | None, report: Report) -> RunResult:
            if run is None:
                return self._show(share, request, report)
            again = TakeAgain(self.database, run, bulk_change_id, request.reason)
            again.refuse_what_was_taken(scope.at)
            if request.enqueue:
                return self._enqueue(share, again, run, report)
            taken = again.reopen(RowIds(share.failed))
            _tell_the_rest(share, taken, report)
            return self._go(share, RowIds([*taken, *share.unknown]), run, request, report)

        parts.work(bulk_change_id, share.carrier, job)

    def _go(
        self, share: Share, rows: RowIds, run: Run | None, request: RetryRequest, report: Report
    ) -> RunResult:
        if share.carrier is Carrier.POND:
            return self.life_cycle.retry(share, rows, run, report)
        sync = SyncRequest(share.bulk_change.id, workers=request.workers, dry_run=run is None, only=rows)
        return self.sync.run(sync, report, within=run)

    def _show(self, share: Share, request: RetryRequest, report: Report) -> RunResult:
        """A dry run asks the carrier what the rows would come to; of a queued check nobody can know."""
        rows = RowIds([*share.failed, *share.unknown])
        if not request.enqueue:
            return self._go(share, rows, None, request, report)
        return self._report_queued(share, rows, None, "", report)

    def _enqueue(self, share: Share, again: TakeAgain, run: Run, report: Report) -> RunResult:
        """One message for the whole bulk change, with the first batch: an early message is harmless."""
        queued: list[Retry] = []

        def queue(unit: Unit) -> None:
            check = NextCheck(retry_number=0, delay_seconds=0, pending_since=unit.now(), stalled=0)
            queued[:] = [queue_check(unit, self.queue_name, share.bulk_change.id, check, None)]

        taken = again.reopen(RowIds(share.failed), also=queue)
        _tell_the_rest(share, taken, report)
        rows = RowIds([*taken, *share.unknown])
        if share.unknown and not queued:
            self.database.write(queue)
        result = self._report_queued(share, rows, queued[0] if queued else None, run.run_id, report)
        self.database.write(lambda unit: unit.runs.finish(run.run_id, "done", result.counts, None))
        return result

    def _report_queued(
        self, share: Share, rows: RowIds, retry: Retry | None, run_id: str, report: Report
    ) -> RunResult:
        ...
