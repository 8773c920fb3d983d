"""Makes the carrier calls that the steps of a device ask for; runs in the pool's threads."""

from __future__ import annotations

from collections.abc import Callable
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


def read(pond: PondClient, iccid: str, instruction: Read) -> CallAnswer:
    """Read, as the client does it."""
    if instruction is Read.PACKAGES:
        return pond.list_packages(iccid)
    return pond.get_services(iccid)


def send(pond: PondClient, iccid: str, write: Write, before: Callable[[], None]) -> Package | None:
    """Write once; `before` is called in the very last moment, and what it raises is not sent."""
    match write:
        case Write(kind=StepKind.ADD_PACKAGE, package_type_id=int(type_id)):
            return pond.add_package(iccid, type_id, before)
        case Write(kind=StepKind.ACTIVATE_PACKAGE, package_id=str(package_id)):
            pond.set_package_status(iccid, package_id, PackageStatus.ACTIVE, before)
        case Write(kind=StepKind.TERMINATE_PACKAGE, package_id=str(package_id)):
            pond.set_package_status(iccid, package_id, PackageStatus.TERMINATED, before)
        case Write(kind=StepKind.SET_SERVICES, enabled=bool(enabled)):
            pond.set_services(iccid, enabled=enabled, before=before)
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
        case DeviceError(category=Category.GUARDED):  # by us, before the call
            return StepState.NOT_SENT
        case DeviceError(temporary=True) | Broken(error=UnavailableError()):
            return StepState.NOT_SENT
        case DeviceError() | Broken(error=PondctlError()):
            return StepState.REFUSED
        case Broken():
            return StepState.UNKNOWN
        case _:
            return StepState.DONE
