"""Bring ThingSpace status and MSISDN into a bulk change; complete it, or queue the next check."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from pondctl.clients.thingspace import ThingSpaceClient
from pondctl.db.database import Database
from pondctl.errors import PondctlError, WrongCarrierError
from pondctl.models import BulkChange, RunResult, Stop, Strategy
from pondctl.services._row_ids import RowIds
from pondctl.services.queueing.outbox import Outbox, sent_afterwards
from pondctl.services.running.actor import Actor, raise_if_stopped
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run, claimed_run, new_run_id
from pondctl.services.syncing.end import SyncEnd
from pondctl.services.syncing.next_check import Cause, CheckPolicy, is_last_try, pending_is_over
from pondctl.services.syncing.open_rows import OpenRows
from pondctl.services.syncing.rows import RowWriter
from pondctl.services.syncing.scan import plan, scanned
from pondctl.services.syncing.walk import RowSync


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What one `sync-bulk` is asked to do. No `cause`: it is run by hand.

    `only`: these rows instead of all open ones; in a dry run also such as failed. `faults`: what
    notifications claim, by ICCID.
    """

    bulk_change_id: int
    strategy: Strategy = Strategy.AUTO
    workers: int = 8
    dry_run: bool = False
    enqueue: bool = True
    accept_not_found: bool = False
    cause: Cause | None = None
    only: RowIds | None = None
    faults: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, object]:
        """For the run's row; which rows were chosen stays out of it."""
        small = replace(self, cause=None, only=None, faults={})
        return asdict(small) | ({} if self.only is None else {"only": len(self.only)})


@dataclass(frozen=True, slots=True)
class Owners:
    """Which service providers belong to which carrier; ThingSpace's empty: all that are not POND's."""

    thingspace: frozenset[int] = frozenset()
    pond: frozenset[int] = frozenset()

    def refuse_other_carrier(self, bulk_change: BulkChange) -> None:
        """Raise `WrongCarrierError` where the bulk change is not ThingSpace's."""
        provider = bulk_change.service_provider_id
        ours = provider in self.thingspace if self.thingspace else provider not in self.pond
        if not ours:
            raise WrongCarrierError(
                f"bulk change {bulk_change.id} belongs to service provider {provider}, "
                "which is not ThingSpace's",
                hint="thingspace.service_provider_ids says which are; `pondctl config show` prints it",
            )


@dataclass(frozen=True, slots=True)
class SyncBulk:
    """Everything `sync-bulk` works with; `run` does it once."""

    database: Database
    thingspace: ThingSpaceClient
    actor: Actor
    owners: Owners
    policy: CheckPolicy
    queue_name: str
    account: str
    stop: Stop
    outbox: Outbox | None = None
    rng: random.Random = field(default_factory=random.SystemRandom)

    def run(self, request: SyncRequest, report: Report, *, within: Run | None = None) -> RunResult:
        """Do one run; `within` one that holds the bulk change already, and ends with this.

        Raises `NotFoundError`, `WrongCarrierError` or `BusyError` before anything is started, and what
        ends a run early after what was decided until then is saved.
        """
        bulk_change = self.database.read(lambda unit: unit.bulk_changes.get(request.bulk_change_id))
        self.owners.refuse_other_carrier(bulk_change)
        if within is not None:
            return self._work(request, within.run_id, within, report)
        run_id = new_run_id()
        if request.dry_run:
            return self._work(request, run_id, None, report)
        with (
            sent_afterwards(self.outbox, bulk_change.id),
            claimed_run(
                self.database,
                self.stop,
                run_id=run_id,
                command="sync-bulk",
                target=f"bulk_change:{bulk_change.id}",
                actor=self.actor,
                arguments=request.arguments(),
            ) as run,
        ):
            return self._work(request, run_id, run, report)

    def _work(self, request: SyncRequest, run_id: str, run: Run | None, report: Report) -> RunResult:
        bulk_change_id = request.bulk_change_id
        work = OpenRows(self.database, bulk_change_id, request.only, as_if_open=request.dry_run)
        total, now = work.count(), self.database.read(lambda unit: unit.now())
        report.run(run_id, bulk_change_id=bulk_change_id, dry_run=request.dry_run, total=total)
        writer = RowWriter(self.database, bulk_change_id, run, report)
        end = self._end(request, now)
        rows = RowSync(
            work,
            self.thingspace,
            writer,
            self.stop,
            total=total,
            faults=request.faults,
            workers=request.workers,
            accept_not_found=request.accept_not_found,
            pending_is_over=pending_is_over(request.cause, self.policy, now),
            last_try=is_last_try(request.cause, self.policy),
        )
        try:
            way = self._walk(request.strategy, rows, run, report)
            raise_if_stopped(self.stop, f"pondctl sync-bulk {bulk_change_id}")
        except PondctlError as error:
            if run is not None:
                end.early(run, writer.counts, error)
            raise
        retry = end.orderly(run, writer.counts, exhausted=writer.exhausted) if run else None
        result = RunResult(
            command="sync-bulk",
            run_id=run_id,
            counts=dict(writer.counts),
            dry_run=request.dry_run,
            bulk_change_id=bulk_change_id,
            retry=retry,
            hints=(way, *rows.hints()),
        )
        report.finish(result)
        return result

    def _end(self, request: SyncRequest, now: datetime) -> SyncEnd:
        return SyncEnd(
            self.database,
            self.policy,
            self.rng,
            queue_name=self.queue_name,
            bulk_change_id=request.bulk_change_id,
            cause=request.cause,
            enqueue=request.enqueue,
            now=now,
        )

    def _walk(self, strategy: Strategy, rows: RowSync, run: Run | None, report: Report) -> str:
        """Look at the open devices in the cheaper way; returns which it was and why."""
        known = self.database.read(lambda unit: unit.meta.account_size(self.account))
        chosen = plan(strategy, rows.total, known)
        with scanned(self.thingspace, chosen, known, report, self.stop) as scan:
            if scan is not None and scan.devices and run is not None:
                scan.record(self.database, run, rows.bulk_change_id, self.account)
            report.phase("asking ThingSpace", rows.total)
            rows.run(scan.scratch if scan else None)
        return f"strategy: {chosen.why}"
