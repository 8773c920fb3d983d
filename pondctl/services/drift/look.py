"""Which places a `reconcile` looks at, and in which order: what is cheap first, POND last but the letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pondctl.clients.pond import PondClient
from pondctl.clients.thingspace import ThingSpaceClient
from pondctl.services.drift.carrier import CarrierLimits
from pondctl.services.drift.compare_bulk import BulkSide
from pondctl.services.drift.compare_letters import LetterSide
from pondctl.services.drift.compare_local import LocalSide
from pondctl.services.drift.compare_pond import PondSide
from pondctl.services.drift.compare_rows import RowReading
from pondctl.services.drift.compare_thingspace import ThingSpaceSide
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import BULK_KINDS, Kind
from pondctl.services.drift.plan_file import PlanFile
from pondctl.services.drift.report import ReconcileRequest


@dataclass(frozen=True, slots=True)
class Sides:
    """The carriers, where they are configured, and what else is needed to look at everything."""

    thingspace: ThingSpaceClient | None
    pond: PondClient | None
    account: str
    limits: CarrierLimits
    queue_name: str
    quiet_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """Looks at everything, at one bulk change, or at what a plan names."""

    comparison: Comparison
    sides: Sides
    request: ReconcileRequest
    plan: PlanFile | None = None

    def run(self) -> None:
        """Trouble with one place is kept, and the others are looked at all the same."""
        if self.request.local:
            self._do(LocalSide(self.comparison, self.sides.queue_name, self.request.bulk_change_id).run)
            self._do(self._bulk_side().run)
            return
        self._do(RowReading(self.comparison, bulk_change_id=self.request.bulk_change_id).run)
        pond = self._pond_side()
        if pond is not None:
            self._do(lambda: pond.gather(everything=self.request.bulk_change_id is None))
        self._keep_planned()
        self._do(self._bulk_side().run)
        self._look_at_carriers(pond)

    def _look_at_carriers(self, pond: PondSide | None) -> None:
        c, letters = self.comparison, LetterSide(self.comparison, self.request.bulk_change_id)
        wants_letters = self.plan is None or self._plan_has(Kind.DEAD_LETTER_RIGHT)
        if self.sides.thingspace is not None:
            side = ThingSpaceSide(
                c,
                self.sides.thingspace,
                self.sides.account,
                limited=self.request.bulk_change_id is not None or self.plan is not None,
                always_list=self.plan is not None and wants_letters,
            )
            self._do(side.run)
        if pond is not None:
            self._do(pond.run)
        self._say_what_is_left_out()
        if wants_letters:
            self._do(letters.run)

    def _do(self, part: Callable[[], None]) -> None:
        c = self.comparison
        if c.stop.is_set():
            c.complete = False
            return
        with c.part():
            part()

    def _pond_side(self) -> PondSide | None:
        pond, limits = self.sides.pond, self.sides.limits
        if pond is None:
            return None
        return PondSide(self.comparison, pond, limits.distributor_id, limits.fallback_provider)

    def _bulk_side(self) -> BulkSide:
        only = None if self.request.bulk_change_id is None else [self.request.bulk_change_id]
        if self.plan is not None:
            named = {d.bulk_change_id for d in self.plan.drifts() if d.kind in BULK_KINDS}
            only = sorted(each for each in named if each is not None)
        return BulkSide(self.comparison, self.sides.queue_name, self.sides.quiet_seconds, only)

    def _keep_planned(self) -> None:
        """Of a plan only its own devices are asked about."""
        if self.plan is not None:
            c, plan = self.comparison, self.plan
            c.rows.keep_only(drift.iccid for drift in plan.drifts() if drift.iccid)
            c.sims.keep_only(drift.iccid for drift in plan.drifts() if drift.iccid)

    def _plan_has(self, kind: Kind) -> bool:
        return self.plan is not None and any(drift.kind is kind for drift in self.plan.drifts())

    def _say_what_is_left_out(self) -> None:
        c, sides = self.comparison, self.sides
        c.extra["looked_at"] = {"thingspace": sides.thingspace is not None, "pond": sides.pond is not None}
        for name, side in (("ThingSpace", sides.thingspace), ("POND", sides.pond)):
            if side is None:
                c.report.warn(f"{name} is not configured: its side was not looked at")
