"""One ACTIVE package of the wanted type on a SIM, and no other. Pure: the engine does what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.db.step_records import StepKind
from pondctl.errors import DeviceError
from pondctl.models import DeviceOutcome, Outcome
from pondctl.services.lifecycle.endings import Allowance, guarded, in_trouble, objected, unchanged_by, worst
from pondctl.services.lifecycle.instructions import Claimed, Ended, Plan, Steps, Write
from pondctl.services.lifecycle.packages import ActivationPlan, Objection, named, plan_activation, with_status
from pondctl.services.lifecycle.read_back import Unproven, known_packages
from pondctl.services.lifecycle.writes import add_package, bring_about


@dataclass(frozen=True, slots=True)
class Activation:
    """What is wanted of one SIM."""

    iccid: str
    package_type_id: int
    keep_existing: bool
    settle_seconds: float


def activate(wanted: Activation, device: Claimed, allowance: Allowance) -> Steps[Ended]:
    """The steps in their order: read, add, activate, end the others. Services are left as they are."""
    found = yield from known_packages(device, wanted.settle_seconds)
    if not isinstance(found, list):
        return Ended(in_trouble(wanted.iccid, found))
    plan = plan_activation(found, wanted.package_type_id, keep_others=wanted.keep_existing)
    if isinstance(plan, Objection):
        return objected(wanted.iccid, plan, found)
    if plan.is_nothing:
        return unchanged_by(_active(wanted, Outcome.UNCHANGED, _describe(plan, wanted)), found)
    hindrance = _hindrance(plan, device, allowance)
    if hindrance is not None:
        return guarded(wanted.iccid, hindrance, found)
    yield Plan(_describe(plan, wanted))
    return (yield from _Activating(wanted, plan, found).run())


def _hindrance(plan: ActivationPlan, device: Claimed, allowance: Allowance) -> str | None:
    """Why nothing may be begun. Asked before a package is added: it would stay beside the old one."""
    if plan.end and device.locked is not None:
        return f"locked ({device.locked}): {named(plan.end)} would be ended; --keep-existing leaves it"
    if not allowance.take(len(plan.end)):
        return f"limits.max_replacements_per_run is used up: {named(plan.end)} would be ended"
    return None


class _Activating:
    """Keeps what stands at the carrier while the steps go on."""

    def __init__(self, wanted: Activation, plan: ActivationPlan, packages: Sequence[Package]) -> None:
        self._wanted = wanted
        self._plan = plan
        self._before = tuple(packages)
        self._now = list(packages)

    def run(self) -> Steps[Ended]:
        chosen = self._plan.keep or self._plan.use
        if chosen is None:
            added = yield from add_package(
                self._wanted.package_type_id, self._now, self._wanted.settle_seconds
            )
            if not isinstance(added, Package):
                return self._ended(in_trouble(self._wanted.iccid, added))
            self._now = [*(p for p in self._now if p.package_id != added.package_id), added]
            chosen = added
        if chosen.status is not PackageStatus.ACTIVE:
            trouble = yield from self._set(StepKind.ACTIVATE_PACKAGE, chosen)
            if trouble is not None:
                return self._ended(in_trouble(self._wanted.iccid, trouble, _stays_idle(chosen, self._plan)))
        return (yield from self._end_others(chosen))

    def _end_others(self, chosen: Package) -> Steps[Ended]:
        troubles: list[DeviceError | Unproven] = []
        ended: list[Package] = []
        standing: list[Package] = []
        for other in self._plan.end:
            trouble = yield from self._set(StepKind.TERMINATE_PACKAGE, other)
            (ended if trouble is None else standing).append(other)
            if trouble is not None:
                troubles.append(trouble)
        active = replace(chosen, carrier_status=PackageStatus.ACTIVE.value)
        if troubles:
            detail = f"{named([active, *standing])} are ACTIVE together, the older could not be ended"
            return self._ended(in_trouble(self._wanted.iccid, worst(troubles), detail))
        ids = {package.package_id for package in ended}
        over = [package for package in self._now if package.package_id in ids]
        detail = f"{named([active])}{'; ended ' + named(over) if over else ''}{self._plan.beside()}"
        return self._ended(_active(self._wanted, Outcome.DONE, detail))

    def _set(self, kind: StepKind, package: Package) -> Steps[DeviceError | Unproven | None]:
        write = Write(kind, package_id=package.package_id, package_type_id=package.package_type_id)
        trouble = yield from bring_about(write, self._wanted.settle_seconds)
        if trouble is None:
            self._now = with_status(self._now, package.package_id, _REACHED[kind])
        return trouble

    def _ended(self, outcome: DeviceOutcome) -> Ended:
        return Ended(outcome, self._before, tuple(self._now))


_REACHED = {
    StepKind.ACTIVATE_PACKAGE: PackageStatus.ACTIVE,
    StepKind.TERMINATE_PACKAGE: PackageStatus.TERMINATED,
}


def _active(wanted: Activation, outcome: Outcome, detail: str) -> DeviceOutcome:
    return DeviceOutcome(wanted.iccid, outcome, carrier_state=PackageStatus.ACTIVE.value, detail=detail)


def _describe(plan: ActivationPlan, wanted: Activation) -> str:
    return plan.describe(wanted.package_type_id)


def _stays_idle(package: Package, plan: ActivationPlan) -> str:
    old = f", {named(plan.end)} left as it is" if plan.end else ""
    return f"{named([package])} could not be activated and is used next time{old}"
