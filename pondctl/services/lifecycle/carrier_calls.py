"""Makes the carrier calls that the steps of a device ask for; runs in the pool's threads."""

from __future__ import annotations

from dataclasses import dataclass

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import Package, PackageStatus, SimServices
from pondctl.db.step_records import StepKind, StepState
from pondctl.errors import Category, DeviceError, PondctlError, UnavailableError
from pondctl.services.lifecycle.instructions import Read, Write

CallAnswer = list[Package] | SimServices | Package | None


@dataclass(frozen=True, slots=True)
class Broken:
    """A call that ends the run; the error is raised once what is in flight is saved."""

    error: BaseException


def call(pond: PondClient, iccid: str, instruction: Read | Write) -> CallAnswer:
    """Read or write once, as the client does it."""
    if instruction is Read.PACKAGES:
        return pond.list_packages(iccid)
    if instruction is Read.SERVICES:
        return pond.get_services(iccid)
    return _write(pond, iccid, instruction)


def _write(pond: PondClient, iccid: str, write: Write) -> Package | None:
    match write:
        case Write(kind=StepKind.ADD_PACKAGE, package_type_id=int(type_id)):
            return pond.add_package(iccid, type_id)
        case Write(kind=StepKind.ACTIVATE_PACKAGE, package_id=str(package_id)):
            pond.set_package_status(iccid, package_id, PackageStatus.ACTIVE)
        case Write(kind=StepKind.TERMINATE_PACKAGE, package_id=str(package_id)):
            pond.set_package_status(iccid, package_id, PackageStatus.TERMINATED)
        case Write(kind=StepKind.SET_SERVICES, enabled=bool(enabled)):
            pond.set_services(iccid, enabled=enabled)
        case _:
            raise AssertionError(f"no such write: {write.kind}")
    return None


def not_sent(reason: str, category: Category = Category.CANCELLED) -> DeviceError:
    """The answer to a call that was not made."""
    return DeviceError(reason, category=category, temporary=True)


def state_of(answer: CallAnswer | DeviceError | Broken) -> StepState:
    """What the answer to a write proves. The client lets nothing but a lost answer leave it open."""
    match answer:
        case DeviceError(answer_lost=True):
            return StepState.UNKNOWN
        case DeviceError(temporary=True) | Broken(error=UnavailableError()):
            return StepState.NOT_SENT
        case DeviceError() | Broken(error=PondctlError()):
            return StepState.REFUSED
        case Broken():
            return StepState.UNKNOWN
        case _:
            return StepState.DONE
