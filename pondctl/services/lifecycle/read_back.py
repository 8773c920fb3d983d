"""Writes whose answer was lost: read back until it is known what they did. Pure, see `instructions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pondctl.clients.pond_models import Package, PackageStatus, SimServices
from pondctl.db.step_records import StepKey, StepKind, StepState, UnresolvedWrite
from pondctl.errors import DeviceError
from pondctl.services.lifecycle.instructions import Claimed, Read, Settle, Steps, Wait, Write, write_from
from pondctl.services.lifecycle.packages import find_added

_PACKAGE_KINDS: Final = (StepKind.ADD_PACKAGE, StepKind.ACTIVATE_PACKAGE, StepKind.TERMINATE_PACKAGE)
# Absence is proven by this many complete readings, so far apart at most.
_READINGS: Final = 2
_MOST_BETWEEN_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class LostWrite:
    """A write that may have taken effect, or may yet. `seconds`: how long absence proves nothing."""

    key: StepKey
    write: Write
    seconds: float


@dataclass(frozen=True, slots=True)
class Unproven:
    """A lost write that could not be read back either."""

    error: DeviceError


def read_packages() -> Steps[list[Package] | DeviceError]:
    """All packages of the SIM."""
    answer = yield Read.PACKAGES
    if isinstance(answer, list | DeviceError):
        return answer
    raise AssertionError("a listing is answered by packages")


def read_services() -> Steps[SimServices | DeviceError]:
    """The SIM's switches."""
    answer = yield Read.SERVICES
    if isinstance(answer, SimServices | DeviceError):
        return answer
    raise AssertionError("a status is answered by services")


def known_packages(device: Claimed, settle_seconds: float) -> Steps[list[Package] | DeviceError | Unproven]:
    """The packages, once it is known what earlier runs have done to them.

    The carrier is asked first, and the database stands beside it: a listing that lacks a package which is
    ACTIVE there may come from a carrier that lags behind, so that it is asked once more.
    """
    lost = _lost(device.unresolved, _PACKAGE_KINDS, settle_seconds)
    if lost:
        found: list[Package] | DeviceError | Unproven = yield from find_out(lost, settle_seconds)
    else:
        found = yield from read_packages()
    if not isinstance(found, list) or device.booked <= {package.package_id for package in found}:
        return found
    yield Wait(_between(settle_seconds))
    return (yield from read_packages())


def known_services(device: Claimed, settle_seconds: float) -> Steps[SimServices | DeviceError | Unproven]:
    """The switches, once no earlier call can change them any more."""
    lost = _lost(device.unresolved, (StepKind.SET_SERVICES,), settle_seconds)
    services = yield from read_services()
    if lost and not _all_show(lost, services):
        yield Wait(max(one.seconds for one in lost))
        services = yield from read_services()
    if isinstance(services, DeviceError):
        return Unproven(services) if lost else services
    for one in lost:
        did = _stand_so(one.write, services)
        yield Settle(one.key, StepState.DONE if did else StepState.ABSENT, detail="read back")
    return services


def find_out(lost: Sequence[LostWrite], settle_seconds: float) -> Steps[list[Package] | Unproven]:
    """Settle every lost write on packages; returns the listing that shows all there is.

    What shows is settled at once. What does not is waited for, and is absent only when two complete
    listings after that do not show it either.
    """
    open_ = list(lost)
    taken: list[str] = []
    packages = yield from read_packages()
    if isinstance(packages, list):
        open_ = yield from _settle_shown(open_, packages, taken)
        if not open_:
            return packages
    for pause in pauses(max(one.seconds for one in open_), settle_seconds):
        yield Wait(pause)
        packages = yield from read_packages()
        if isinstance(packages, DeviceError):
            return Unproven(packages)
        open_ = yield from _settle_shown(open_, packages, taken)
        if not open_:
            return packages
    for one in open_:
        yield Settle(one.key, StepState.ABSENT, detail="two listings after the settle time do not show it")
    if isinstance(packages, DeviceError):
        raise AssertionError("the last listing was complete")
    return packages


def shows(write: Write, packages: Sequence[Package], taken: Sequence[str] = ()) -> Package | None:
    """The package that proves that the write took effect; None where nothing does."""
    if write.kind is StepKind.ADD_PACKAGE:
        return find_added(packages, write.package_type_id, (*write.seen, *taken))
    ends = _ENDS[write.kind]
    found = (p for p in packages if p.package_id == write.package_id and p.status in ends)
    return next(found, None)


def look(write: Write) -> Steps[bool | DeviceError]:
    """Whether what a write asked for is so."""
    if write.kind is StepKind.SET_SERVICES:
        services = yield from read_services()
        return services if isinstance(services, DeviceError) else _stand_so(write, services)
    packages = yield from read_packages()
    return packages if isinstance(packages, DeviceError) else shows(write, packages) is not None


def pauses(first: float, settle_seconds: float) -> tuple[float, ...]:
    """How long to wait before each of the readings that prove absence."""
    return (first, *[_between(settle_seconds)] * (_READINGS - 1))


def _between(settle_seconds: float) -> float:
    return min(settle_seconds / 10, _MOST_BETWEEN_SECONDS)


def _stand_so(write: Write, services: SimServices) -> bool:
    """All three switches stand as asked; one that the carrier does not tell does not."""
    return {services.data, services.voice, services.sms} == {write.enabled}


def _all_show(lost: Sequence[LostWrite], services: SimServices | DeviceError) -> bool:
    return isinstance(services, SimServices) and all(_stand_so(one.write, services) for one in lost)


# A package that is over cannot be activated any more, so nothing of that write is still to come.
_ENDS: Final = {
    StepKind.ACTIVATE_PACKAGE: (PackageStatus.ACTIVE, PackageStatus.TERMINATED),
    StepKind.TERMINATE_PACKAGE: (PackageStatus.TERMINATED,),
}


def _settle_shown(
    lost: Sequence[LostWrite], packages: Sequence[Package], taken: list[str]
) -> Steps[list[LostWrite]]:
    """Settle what shows; one package proves one add, so those that did are `taken`."""
    hidden: list[LostWrite] = []
    for one in lost:
        proof = shows(one.write, packages, taken)
        if proof is None:
            hidden.append(one)
            continue
        if one.write.kind is StepKind.ADD_PACKAGE:
            taken.append(proof.package_id)
        yield Settle(one.key, StepState.DONE, proof.package_id, f"read back: {proof.carrier_status}")
    return hidden


def _lost(
    unresolved: Sequence[UnresolvedWrite], kinds: Sequence[StepKind], settle_seconds: float
) -> list[LostWrite]:
    return [
        LostWrite(one.key, write_from(one.kind, one.intent), max(0.0, settle_seconds - one.seconds_since_cut))
        for one in unresolved
        if one.kind in kinds
    ]
