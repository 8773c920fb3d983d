"""Drives the steps of one device with made-up answers, as the engine would with real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pondctl.clients.pond_models import Package, PackageStatus, SimServices
from pondctl.db.step_records import StepKey, StepKind, StepState, UnresolvedWrite
from pondctl.errors import Category, DeviceError
from pondctl.services.lifecycle.instructions import (
    Answer,
    Ended,
    Instruction,
    Plan,
    Read,
    Settle,
    Steps,
    Wait,
    Write,
    Written,
)

ICCID = "89148000000000000018"
WANTED, OTHER = 1001, 1002
LOST = DeviceError("no answer", category=Category.NETWORK, temporary=True, answer_lost=True)
BUSY = DeviceError("HTTP 503", category=Category.CARRIER_UNAVAILABLE, temporary=True)
REFUSED = DeviceError("POND refused (400): no", category=Category.CARRIER_REJECTED, temporary=False)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

Reply = object  # an answer, or a function of the world that makes one


def package(
    package_id: str, type_id: int | None = WANTED, status: str = "ACTIVE", *, age_days: float = 0
) -> Package:
    """A package of the one SIM."""
    known = status if status in set(PackageStatus) else "UNKNOWN"
    created = _EPOCH - timedelta(days=age_days)
    return Package(package_id, type_id, PackageStatus(known), status, created, 1 << 30, ICCID)


def services(enabled: bool | None, state: str = "In-Service") -> SimServices:
    """All three switches alike."""
    return SimServices(enabled, enabled, enabled, state)


def unresolved(kind: StepKind, age: float = 0.0, **intent: object) -> UnresolvedWrite:
    """What an earlier run left behind."""
    return UnresolvedWrite(StepKey("earlier", 7), kind, ICCID, intent, age)


@dataclass
class Driven:
    """What the steps asked for, and how they ended."""

    asked: list[Instruction] = field(default_factory=list)
    ended: Ended | None = None

    @property
    def outcome(self) -> str:
        """The outcome's word."""
        assert self.ended is not None
        return str(self.ended.outcome.outcome)

    @property
    def detail(self) -> str:
        """What a person reads."""
        assert self.ended is not None
        return self.ended.outcome.detail or ""

    @property
    def category(self) -> str | None:
        """The outcome's category."""
        assert self.ended is not None
        category = self.ended.outcome.category
        return None if category is None else str(category)

    @property
    def writes(self) -> list[tuple[str, str | None]]:
        """Kind and package id of what was sent."""
        return [(str(w.kind), w.package_id) for w in self.asked if isinstance(w, Write)]

    @property
    def waited(self) -> float:
        """Seconds that the steps let pass."""
        return sum(wait.seconds for wait in self.asked if isinstance(wait, Wait))

    @property
    def settled(self) -> list[tuple[StepKey, StepState]]:
        """Writes that were closed by reading back."""
        return [(s.key, s.state) for s in self.asked if isinstance(s, Settle)]

    @property
    def plans(self) -> list[str]:
        """What a dry run would have shown."""
        return [plan.detail for plan in self.asked if isinstance(plan, Plan)]


def drive(steps: Steps[Ended], answers: Sequence[Reply]) -> Driven:
    """Answer each read and write in turn; a write's answer may be an error, a package or None."""
    driven = Driven()
    replies = iter(answers)
    sequence = 0
    answer: Answer = None
    try:
        while True:
            instruction = steps.send(answer)
            driven.asked.append(instruction)
            answer = None
            if isinstance(instruction, Read | Write):
                reply = next(replies)
                reply = reply() if isinstance(reply, Callable) else reply  # type: ignore[arg-type]
                if isinstance(instruction, Write):
                    sequence += 1
                    answer = Written(StepKey("now", sequence), reply)  # type: ignore[arg-type]
                else:
                    answer = reply  # type: ignore[assignment]
    except StopIteration as end:
        driven.ended = end.value
    left = list(replies)
    assert left == [], f"never asked for: {left}"
    return driven
