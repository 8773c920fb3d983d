"""The frame of a life-cycle run: claimed, its devices kept, worked through, ended."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pondctl.clients.pond import PondClient
from pondctl.db.batches import chunks
from pondctl.db.database import Database
from pondctl.errors import BusyError, NotFoundError, PondctlError, UsageError
from pondctl.models import Operation, Outcome, Retry, RunResult, Stop
from pondctl.services._visible import visible_run
from pondctl.services.lifecycle.brake import Brake
from pondctl.services.lifecycle.claiming import Claiming, is_over
from pondctl.services.lifecycle.end import LifeEnd
from pondctl.services.lifecycle.engine import Engine
from pondctl.services.lifecycle.journal import Journal
from pondctl.services.lifecycle.limits import check_start, find_scope, providers_of
from pondctl.services.lifecycle.operations import steps_of
from pondctl.services.lifecycle.rehearse import Rehearsal, count_ends
from pondctl.services.lifecycle.request import LifeLimits, LifeRequest
from pondctl.services.lifecycle.scope import ResumedScope, Scope, lists_of
from pondctl.services.running.actor import Actor, raise_if_stopped
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run, claimed_run, new_run_id
from pondctl.services.syncing.end import SyncEnd
from pondctl.services.syncing.next_check import Cause, CheckPolicy
from pondctl.services.targets.targets import Target

# So many ICCIDs stand in one row of the journal, and so many such rows are written at once.
_TARGETS_A_ROW = 1000
_ROWS_AT_ONCE = 20
_NO_CHECKS = CheckPolicy()


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """Everything `activate`, `suspend`, `resume` and `terminate` work with; `run` does it once."""

    database: Database
    pond: PondClient
    actor: Actor
    limits: LifeLimits
    policy: CheckPolicy
    queue_name: str
    stop: Stop
    rng: random.Random = field(default_factory=random.SystemRandom)

    def scope(self, request: LifeRequest, targets: Sequence[Target] = ()) -> Scope:
        """What the request is about; raises what forbids it, before anything is started."""
        return find_scope(self.database, request, self.limits, targets)

    def resumed(self, run_id: str) -> tuple[LifeRequest, Scope]:
        """What is left of an earlier run. Raises `BusyError` while it is alive."""
        record = self.database.read(lambda unit: visible_run(unit, run_id))
        if record.command not in set(Operation) - {Operation.SYNC}:
            raise UsageError(
                f"run {run_id} was `{record.command}`, which is not resumed",
                hint=f"run `pondctl {record.command}` again: it goes on where that run ended",
            )
        if not is_over(record):
            raise BusyError(f"run {run_id} is at work", hint=f"`pondctl runs cancel {run_id}` stops it")
        request = LifeRequest.from_arguments(record.arguments)
        if request.bulk_change_id is not None:
            return request, self.scope(request)
        scope = ResumedScope(self.database, run_id, request.package_type_id)
        if scope.stored != record.arguments.get("devices"):
            raise NotFoundError(
                f"run {run_id} ended before all its devices were stored; nothing was sent",
                hint=f"run `pondctl {record.command}` again as it was typed",
            )
        check_start(request, self.limits, scope)
        return request, scope

    def describe_end(self, request: LifeRequest, scope: Scope) -> str:
        """What a termination would end, read from the carrier before anybody is asked."""
        ends, unread = count_ends(
            self.pond, scope.works(), request.package_id, workers=request.workers, stop=self.stop
        )
        raise_if_stopped(self.stop, "nothing was begun")
        packages = f"They hold {ends:,} package{'' if ends == 1 else 's'} that stand."
        return f"{packages} {unread:,} could not be read." if unread else packages

    def run(
        self,
        request: LifeRequest,
        scope: Scope,
        report: Report,
        cause: Cause | None = None,
        *,
        within: Run | None = None,
    ) -> RunResult:
        """Do one run over the scope; `within` one that holds the bulk change already, and ends with this.

        Raises `BusyError` before anything is started, and what ends a run early after what was decided
        until then is saved.
        """
        run_id = within.run_id if within else new_run_id()
        bulk_change_id = request.bulk_change_id
        report.run(run_id, bulk_change_id=bulk_change_id, dry_run=request.dry_run, total=scope.total)
        if request.dry_run:
            return self._rehearse(run_id, request, scope, report)
        if within is not None:
            return self._work(within, request, scope, report, cause)
        with claimed_run(
            self.database,
            self.stop,
            run_id=run_id,
            command=str(request.operation),
            target=None if bulk_change_id is None else f"bulk_change:{bulk_change_id}",
            actor=self.actor,
            arguments=request.arguments() | {"devices": scope.total},
        ) as run:
            return self._work(run, request, scope, report, cause)

    def _rehearse(self, run_id: str, request: LifeRequest, scope: Scope, report: Report) -> RunResult:
        rehearsal = Rehearsal(
            self.database, self.pond, steps_of(request, self.limits), request.operation, self.stop
        )
        rehearsal.run(scope.works(), report, request.workers)
        LifeEnd(self.database, self.stop, run_id, None).raise_if_rehearsal_stopped()
        return self._result(run_id, request, rehearsal.counts, report)

    def _work(
        self, run: Run, request: LifeRequest, scope: Scope, report: Report, cause: Cause | None
    ) -> RunResult:
        bulk_end = self._bulk_end(request, cause)
        end = LifeEnd(self.database, self.stop, run.run_id, bulk_end)
        journal = Journal(self.database, self.stop, self._claiming(run.run_id, request), run.chain)
        brake = Brake(scope.total, self.limits.max_error_rate)
        engine = Engine(
            self.pond,
            journal,
            steps_of(request, self.limits),
            brake,
            report,
            workers=request.workers,
            stop=self.stop,
        )
        run.counts = engine.counts
        try:
            if scope.is_kept:
                for lists in chunks(lists_of(scope, _TARGETS_A_ROW), _ROWS_AT_ONCE):
                    journal.keep_targets(lists)
            engine.run(scope.works())
            whole = sum(engine.counts.values()) >= scope.total
            end.raise_if_early(None if whole else brake.reason)
        except PondctlError as error:
            end.early(run, engine.counts, error)
            raise
        retry = end.orderly(run, engine.counts)
        return self._result(run.run_id, request, engine.counts, report, retry)

    def _claiming(self, run_id: str, request: LifeRequest) -> Claiming:
        bulk_change_id = request.bulk_change_id
        bulk_change = None
        if bulk_change_id is not None:
            bulk_change = self.database.read(lambda unit: unit.bulk_changes.get(bulk_change_id))
        return Claiming(
            run_id=run_id,
            operation=request.operation,
            distributor_id=self.limits.distributor_id,
            bulk_change_id=bulk_change_id,
            providers=providers_of(request, self.limits, bulk_change),
            trail=self.actor.trail,
        )

    def _bulk_end(self, request: LifeRequest, cause: Cause | None) -> SyncEnd | None:
        if request.bulk_change_id is None:
            return None
        return SyncEnd(
            self.database,
            self.policy,
            self.rng,
            queue_name=self.queue_name,
            bulk_change_id=request.bulk_change_id,
            cause=cause,
            enqueue=cause is not None or (self.limits.worker_takes_checks and request.says_its_rows),
            now=self.database.read(lambda unit: unit.now()),
        )

    def _result(
        self,
        run_id: str,
        request: LifeRequest,
        counts: Mapping[Outcome, int],
        report: Report,
        retry: Retry | None = None,
    ) -> RunResult:
        left = counts.get(Outcome.DEFERRED, 0) + counts.get(Outcome.UNKNOWN, 0)
        hints = (f"what is left: `pondctl runs resume {run_id}`",) if left and not retry else ()
        result = RunResult(
            command=str(request.operation),
            run_id=run_id,
            counts=dict(counts),
            dry_run=request.dry_run,
            bulk_change_id=request.bulk_change_id,
            retry=retry,
            hints=() if request.dry_run else hints,
        )
        report.finish(result)
        return result
