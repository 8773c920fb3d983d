"""What the steps of one device ask the engine for. The steps themselves are pure: they only ask."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from pondctl.clients.pond_models import Package, SimServices
from pondctl.db.step_records import StepKey, StepKind, StepState, UnresolvedWrite
from pondctl.errors import DeviceError
from pondctl.models import DeviceOutcome

T = TypeVar("T")


class Read(Enum):
    """A carrier read; it is sent at once."""

    PACKAGES = auto()
    SERVICES = auto()


@dataclass(frozen=True, slots=True)
class Write:
    """A carrier write; its intent is committed before the call, its outcome after the answer.

    `seen`: ids of the packages that stood there, so that a new one can be told when the answer is lost.
    """

    kind: StepKind
    package_id: str | None = None
    package_type_id: int | None = None
    seen: tuple[str, ...] = ()
    enabled: bool | None = None

    def intent(self) -> dict[str, object]:
        """All that is needed to read it back, for the journal."""
        known = {
            "package_id": self.package_id,
            "package_type_id": self.package_type_id,
            "enabled": self.enabled,
        }
        intent: dict[str, object] = {name: value for name, value in known.items() if value is not None}
        if self.kind is StepKind.ADD_PACKAGE:
            intent["seen"] = list(self.seen)
        return intent


def write_from(kind: StepKind, intent: Mapping[str, object]) -> Write:
    """The write that an intent in the journal stands for."""
    package_id, package_type_id = intent.get("package_id"), intent.get("package_type_id")
    seen, enabled = intent.get("seen"), intent.get("enabled")
    return Write(
        kind,
        package_id=package_id if isinstance(package_id, str) else None,
        package_type_id=package_type_id if isinstance(package_type_id, int) else None,
        seen=tuple(map(str, seen)) if isinstance(seen, list) else (),
        enabled=enabled if isinstance(enabled, bool) else None,
    )


@dataclass(frozen=True, slots=True)
class Settle:
    """Close a write whose answer was lost: what it did is known now."""

    key: StepKey
    state: StepState
    package_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Come back later; other devices go on meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be changed, said before the first write; a dry run ends here."""

    detail: str


Instruction = Read | Write | Settle | Wait | Plan


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write, and the name of its step. Nothing: the carrier accepted."""

    key: StepKey
    answer: Package | DeviceError | None = None


Answer = list[Package] | SimServices | Written | DeviceError | None
Steps = Generator[Instruction, Answer, T]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the database says of a device that is claimed now. `booked`: packages that are ACTIVE to it."""

    unresolved: tuple[UnresolvedWrite, ...] = ()
    locked: str | None = None
    booked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ended:
    """A device is decided. `before`/`after`: its packages, where they were read; `after` is saved."""

    outcome: DeviceOutcome
    before: tuple[Package, ...] | None = None
    after: tuple[Package, ...] | None = None
