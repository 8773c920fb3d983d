"""Switch a SIM's services on or off; its packages are left as they are. Pure, see `instructions`."""

from __future__ import annotations

from dataclasses import dataclass

from pondctl.clients.pond_models import SimServices
from pondctl.db.step_records import StepKind
from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Outcome
from pondctl.services.lifecycle.endings import in_trouble
from pondctl.services.lifecycle.instructions import Claimed, Ended, Plan, Steps, Write
from pondctl.services.lifecycle.read_back import known_services
from pondctl.services.lifecycle.writes import bring_about

_TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class Switching:
    """What is wanted of one SIM."""

    iccid: str
    enabled: bool
    settle_seconds: float


def switch(wanted: Switching, device: Claimed) -> Steps[Ended]:
    """Read, then set all three together where one of them stands otherwise."""
    found = yield from known_services(device, wanted.settle_seconds)
    if not isinstance(found, SimServices):
        return Ended(in_trouble(wanted.iccid, found))
    state = found.sim_status
    if (state or "").lower() == _TERMINATED:
        reason = "the SIM is Terminated, for good: its services cannot be switched"
        return Ended(_outcome(wanted, Outcome.SKIPPED, state, reason, Category.INVALID_STATE))
    words = f"data, voice and SMS {'ENABLED' if wanted.enabled else 'DISABLED'}"
    if {found.data, found.voice, found.sms} == {wanted.enabled}:
        return Ended(_outcome(wanted, Outcome.UNCHANGED, state, words))
    yield Plan(words)
    write = Write(StepKind.SET_SERVICES, enabled=wanted.enabled)
    trouble = yield from bring_about(write, wanted.settle_seconds)
    if trouble is not None:
        return Ended(in_trouble(wanted.iccid, trouble))
    return Ended(_outcome(wanted, Outcome.DONE, state, words))


def _outcome(
    wanted: Switching, outcome: Outcome, state: str | None, detail: str, category: Category | None = None
) -> DeviceOutcome:
    return DeviceOutcome(wanted.iccid, outcome, category, state, detail=detail)
