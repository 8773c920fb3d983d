"""End a SIM's packages; there is no way back. Pure: the engine does what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.db.step_records import StepKind
from pondctl.errors import Category, DeviceError
from pondctl.models import DeviceOutcome, Outcome
from pondctl.services.lifecycle.endings import guarded, in_trouble, objected, unchanged_by, worst
from pondctl.services.lifecycle.instructions import Claimed, Ended, Plan, Steps, Write
from pondctl.services.lifecycle.packages import Objection, named, plan_termination, with_status
from pondctl.services.lifecycle.read_back import Unproven, known_packages
from pondctl.services.lifecycle.writes import bring_about


@dataclass(frozen=True, slots=True)
class Termination:
    """What is wanted of one SIM: every package ended, or the one that is named."""

    iccid: str
    package_id: str | None
    settle_seconds: float


def terminate(wanted: Termination, device: Claimed) -> Steps[Ended]:
    """Read, then end one package after the other; the first that resists does not save the rest."""
    found = yield from known_packages(device, wanted.settle_seconds)
    if not isinstance(found, list):
        return Ended(in_trouble(wanted.iccid, found))
    ends = plan_termination(found, wanted.package_id)
    if isinstance(ends, Objection):
        return objected(wanted.iccid, ends, found)
    if not ends:
        nothing = "no package that is not TERMINATED" if wanted.package_id is None else "TERMINATED already"
        return unchanged_by(_over(wanted, Outcome.UNCHANGED, nothing), found)
    yield Plan(f"end {named(ends)}")
    return (yield from _end_all(wanted, ends, found))


def _end_all(wanted: Termination, ends: Sequence[Package], found: Sequence[Package]) -> Steps[Ended]:
    now = list(found)
    standing: list[Package] = []
    troubles: list[DeviceError | Unproven] = []
    for package in ends:
        write = Write(
            StepKind.TERMINATE_PACKAGE,
            package_id=package.package_id,
            package_type_id=package.package_type_id,
        )
        trouble = yield from bring_about(write, wanted.settle_seconds)
        if trouble is None:
            now = with_status(now, package.package_id, PackageStatus.TERMINATED)
        else:
            standing.append(package)
            troubles.append(trouble)
    if len(standing) == len(ends) and all(_is_guarded(trouble) for trouble in troubles):
        # It was locked after this run had claimed it.
        return guarded(wanted.iccid, str(troubles[0]), found)
    if troubles:
        detail = f"{named(standing)} could not be ended"
        outcome = in_trouble(wanted.iccid, worst(troubles), detail)
    else:
        outcome = _over(wanted, Outcome.DONE, f"ended {named(ends)}")
    return Ended(outcome, tuple(found), tuple(now))


def _is_guarded(trouble: DeviceError | Unproven) -> bool:
    return isinstance(trouble, DeviceError) and trouble.category is Category.GUARDED


def _over(wanted: Termination, outcome: Outcome, detail: str) -> DeviceOutcome:
    state = PackageStatus.TERMINATED.value if wanted.package_id is None else None
    return DeviceOutcome(wanted.iccid, outcome, carrier_state=state, detail=detail)
