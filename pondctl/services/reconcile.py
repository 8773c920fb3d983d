"""Hold the database against ThingSpace and POND as they are now; mend what is safe to mend."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from pondctl.db.database import Database
from pondctl.errors import (
    ConfigurationError,
    ConfirmationMissingError,
    PermissionDeniedError,
    PondctlError,
    UsageError,
)
from pondctl.models import Carrier, Stop
from pondctl.services.drift.comparison import Comparison, comparing
from pondctl.services.drift.kinds import CARRIER_KINDS, Kind, Mender
from pondctl.services.drift.look import Look, Sides
from pondctl.services.drift.mend_all import MANY, MendAll
from pondctl.services.drift.plan_file import PlanFile, PlanHead, refuse_existing, write_plan
from pondctl.services.drift.report import COMMAND, DriftReport, ReconcileRequest, ReconcileResult
from pondctl.services.drift.told import menders, tell
from pondctl.services.queueing.dispatch import Rules
from pondctl.services.queueing.outbox import Outbox
from pondctl.services.running.actor import Actor, raise_if_stopped
from pondctl.services.running.run import Run, claimed_run, new_run_id


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Everything `reconcile` works with; `run` does it once. `database_name` says which, without secrets."""

    database: Database
    sides: Sides
    rules: Rules
    actor: Actor
    stop: Stop
    database_name: str
    outbox: Outbox | None = None
    protected: bool = False

    def run(self, request: ReconcileRequest, report: DriftReport) -> ReconcileResult:
        """Raises what forbids the run before anything is started, and what cut it short after all that was
        found is reported."""
        plan = self._check(request)
        run_id = new_run_id()
        with ExitStack() as stack:
            return self._work(run_id, self._claim(stack, run_id, request), request, plan, report)

    def _claim(self, stack: ExitStack, run_id: str, request: ReconcileRequest) -> Run | None:
        """The run; none where nothing is written down: by wish, or because a look must need no right to."""
        if request.dry_run:
            return None
        claimed = claimed_run(
            self.database,
            self.stop,
            run_id=run_id,
            command=COMMAND,
            target=COMMAND,
            actor=self.actor,
            arguments=request.arguments(),
        )
        try:
            return stack.enter_context(claimed)
        except PermissionDeniedError:
            if request.apply:
                raise
            return None

    def _check(self, request: ReconcileRequest) -> PlanFile | None:
        if not (request.local or self.sides.thingspace or self.sides.pond):
            raise ConfigurationError(
                "neither ThingSpace nor POND is configured: there is nothing to hold the database against",
                hint="--local looks at the database alone",
            )
        if request.bulk_change_id is not None:
            bulk_change_id = request.bulk_change_id
            self.database.read(lambda unit: unit.bulk_changes.get(bulk_change_id))
        if request.plan_out is not None:
            refuse_existing(request.plan_out)
        if request.plan is None:
            return None
        plan = PlanFile(request.plan)
        plan.require_ours(self.actor.profile, self.database_name, self.database.read(lambda unit: unit.now()))
        self._check_limits(plan, request)
        return plan

    def _check_limits(self, plan: PlanFile, request: ReconcileRequest) -> None:
        """What a plan may do to POND, and what it discards, is known before anything is begun."""
        limits = self.sides.limits
        ends = sum(len(drift.fix["end"]) for drift in plan.drifts() if drift.kind in CARRIER_KINDS)
        letters = sum(drift.kind is Kind.DEAD_LETTER_RIGHT for drift in plan.drifts())
        if ends and not limits.write_enabled:
            raise PermissionDeniedError(
                "writing to POND is switched off", hint="pond.write_enabled = true switches it on"
            )
        if ends > limits.max_replacements:
            raise UsageError(
                f"the plan ends {ends:,} packages, limits.max_replacements_per_run allows "
                f"{limits.max_replacements:,}"
            )
        if self.protected and max(ends, letters) > MANY and not request.confirmed:
            raise ConfirmationMissingError(
                f"profile {self.actor.profile} is protected: {max(ends, letters):,} packages or dead letters "
                "need its name",
                hint=f"add --confirm {self.actor.profile}",
            )

    def _work(
        self,
        run_id: str,
        run: Run | None,
        request: ReconcileRequest,
        plan: PlanFile | None,
        report: DriftReport,
    ) -> ReconcileResult:
        report.run(run_id)
        with comparing(
            self.database,
            run,
            report,
            self.stop,
            self._carrier_of,
            allowed=self.rules.allowed,
            workers=request.workers,
            max_runtime_seconds=request.max_runtime_seconds,
        ) as c:
            hints: list[str] = []
            try:
                self._look(c, run_id, request, plan, hints)
                self._mend(c, request, plan, hints)
            except PondctlError as error:
                c.complete = False
                c.troubles.append(error)
            if self.stop.is_set():
                c.complete = False
            result = tell(c, run_id, request, hints)
            trouble = c.worst_trouble()
        report.finish(result)
        raise_if_stopped(self.stop, "pondctl reconcile")
        if trouble is not None:
            raise trouble
        if run is not None:
            self.database.write(lambda unit: unit.runs.finish(run_id, "done", result.counts, None))
        return result

    def _look(
        self,
        c: Comparison,
        run_id: str,
        request: ReconcileRequest,
        plan: PlanFile | None,
        hints: list[str],
    ) -> None:
        if plan is not None:
            c.findings.expect((drift.as_text(), drift.as_key()) for drift in plan.drifts())
        Look(c, self.sides, request, plan).run()
        path = request.plan_out
        if path is not None and not self.stop.is_set():
            head = PlanHead(self.actor.profile, self.database_name, run_id, c.started, c.complete)
            count = write_plan(path, head, menders(c))
            mend = f"{count:,} of them can be mended: pondctl reconcile --apply --plan {path}"
            hints.append(mend if count else "nothing can be mended: the plan is empty")

    def _mend(
        self, c: Comparison, request: ReconcileRequest, plan: PlanFile | None, hints: list[str]
    ) -> None:
        if not request.apply or c.run is None or self.stop.is_set():
            return
        changes, most = c.findings.count([Mender.APPLY]), request.max_changes
        if most is not None and changes > most:
            hints.append(f"{changes:,} changes are more than --max-changes {most:,}: nothing was written")
            return
        MendAll(
            c,
            c.run,
            self.actor.trail,
            self.sides,
            self.outbox,
            reviewed=plan is not None,
            may_discard=plan is not None or request.confirmed or not self.protected,
        ).mend()

    def _carrier_of(self, service_provider_id: int) -> Carrier | None:
        """POND's are those that are named; with none named, those that are not ThingSpace's."""
        carrier, rules = self.rules.carrier_of(service_provider_id), self.rules
        if (
            carrier is None
            and not rules.pond
            and service_provider_id in (rules.allowed or [service_provider_id])
        ):
            return Carrier.POND
        return carrier
