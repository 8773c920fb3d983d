"""What is mended at POND: lost writes are read back, and packages that a person has reviewed are ended.

Pure: the engine does what is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.db.step_records import StepKind
from pondctl.errors import Category, DeviceError
from pondctl.models import DeviceOutcome, Outcome
from pondctl.services.drift.packages import seen
from pondctl.services.lifecycle.endings import guarded, in_trouble, worst
from pondctl.services.lifecycle.instructions import Claimed, Ended, Steps, Write
from pondctl.services.lifecycle.packages import named, with_status
from pondctl.services.lifecycle.read_back import Unproven, known_packages, known_services
from pondctl.services.lifecycle.writes import bring_about


@dataclass(frozen=True, slots=True)
class ReviewedEnd:
    """Packages to end, by id, as long as `seen` (ids and status words) is still so.

    `alone`: no other package is ACTIVE beside those.
    """

    ends: tuple[str, ...]
    seen: tuple[tuple[str, str], ...]
    alone: bool


def read_back(iccid: str, device: Claimed, settle_seconds: float) -> Steps[Ended]:
    """Find out what the lost writes on a SIM did; nothing is sent again."""
    kinds = {write.kind for write in device.unresolved}
    if not kinds:
        return Ended(DeviceOutcome(iccid, Outcome.UNCHANGED, detail="closed by another run"))
    packages: list[Package] | None = None
    if kinds - {StepKind.SET_SERVICES}:
        found = yield from known_packages(device, settle_seconds)
        if not isinstance(found, list):
            return Ended(_still_unknown(iccid, found))
        packages = found
    if StepKind.SET_SERVICES in kinds:
        services = yield from known_services(device, settle_seconds)
        if isinstance(services, DeviceError | Unproven):
            return Ended(_still_unknown(iccid, services))
    shown = None if packages is None else tuple(packages)
    return Ended(DeviceOutcome(iccid, Outcome.DONE, detail="read back"), shown, shown)


def end_reviewed(
    iccid: str, reviewed: Sequence[ReviewedEnd], device: Claimed, settle_seconds: float
) -> Steps[Ended]:
    """End what the plan names, while the SIM is as the plan saw it; the first that resists saves no other."""
    found = yield from known_packages(device, settle_seconds)
    if not isinstance(found, list):
        return Ended(in_trouble(iccid, found))
    if not all(_is_as_seen(each, found) for each in reviewed):
        return guarded(iccid, f"it has moved since: {named(found)}", found)
    ids = {package_id for each in reviewed for package_id in each.ends}
    now = list(found)
    troubles: list[DeviceError | Unproven] = []
    for package in [package for package in found if package.package_id in ids]:
        write = Write(
            StepKind.TERMINATE_PACKAGE,
            package_id=package.package_id,
            package_type_id=package.package_type_id,
        )
        trouble = yield from bring_about(write, settle_seconds)
        if trouble is None:
            now = with_status(now, package.package_id, PackageStatus.TERMINATED)
        else:
            troubles.append(trouble)
    if troubles:
        outcome = in_trouble(iccid, worst(troubles), "a package could not be ended")
    else:
        outcome = DeviceOutcome(iccid, Outcome.DONE, detail=f"ended {len(ids)}")
    return Ended(outcome, tuple(found), tuple(now))


def _is_as_seen(reviewed: ReviewedEnd, packages: Sequence[Package]) -> bool:
    known = set(reviewed.seen)
    now = {(package_id, status) for package_id, status in seen(packages)}
    active = {each for each in now if each[1] == PackageStatus.ACTIVE}
    return known <= now and (not reviewed.alone or active == known)


def _still_unknown(iccid: str, trouble: DeviceError | Unproven) -> DeviceOutcome:
    error = trouble.error if isinstance(trouble, Unproven) else trouble
    return DeviceOutcome(
        iccid, Outcome.UNKNOWN, error.category or Category.NETWORK, detail=f"still not known: {error.message}"
    )
