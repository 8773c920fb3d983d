"""The journal's records: device claims, carrier writes with their intents, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StepKind(StrEnum):
    """What a step is. The first two are no carrier writes."""

    CLAIM = "claim"
    TARGETS = "targets"
    ADD_PACKAGE = "add_package"
    ACTIVATE_PACKAGE = "activate_package"
    TERMINATE_PACKAGE = "terminate_package"
    SET_SERVICES = "set_services"


class StepState(StrEnum):
    """What is known of a carrier write. OPEN and UNKNOWN are unresolved: they are read back first."""

    OPEN = "open"  # the intent is committed; nothing more is known
    UNKNOWN = "unknown"  # sent, and the answer is lost
    DONE = "done"  # the carrier said so, or it was seen there
    REFUSED = "refused"  # the carrier said no
    NOT_SENT = "not_sent"  # it provably never took effect: no connection, throttled, stopped before
    ABSENT = "absent"  # read back: it took no effect, and cannot any more
    REPEATED = "repeated"  # the same effect was asked for again, and that was answered


# States of a claim that is no outcome's word.
CLAIM_OPEN = "open"
CLAIM_RELEASED = "released"
CLAIM_ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class StepKey:
    """Names a step: the `sequence`-th of a run."""

    run_id: str
    sequence: int

    def __str__(self) -> str:
        """As it stands in the unique column once the step claims no device."""
        return f"{self.run_id}:{self.sequence}"


@dataclass(frozen=True, slots=True)
class Subject:
    """The device that a step is about, and the row that asked for it, where there is one."""

    operation: str
    iccid: str
    service_provider_id: int
    bulk_change_id: int | None = None
    device_change_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A claim on a device. `refuse_locked`: an operator's lock on the device refuses it."""

    key: StepKey
    claim: str
    subject: Subject
    refuse_locked: bool


@dataclass(frozen=True, slots=True)
class ClaimEnd:
    """A claim given back: `state` is the outcome's word, or that the device was not decided."""

    key: StepKey
    claim: str
    state: str
    answer: Mapping[str, object] | None = None
    detail: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class NewWrite:
    """The intent of a carrier write; committed before the call is made."""

    key: StepKey
    kind: StepKind
    subject: Subject
    intent: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class WriteEnd:
    """What became of a write. UNKNOWN dates the cut: from then on it may still take effect."""

    key: StepKey
    state: StepState
    answer: Mapping[str, object] | None = None
    detail: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedWrite:
    """A write of an earlier run that may have taken effect, or may yet. Age in database time."""

    key: StepKey
    kind: StepKind
    iccid: str
    intent: Mapping[str, object]
    seconds_since_cut: float


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A step as the journal has it, for people."""

    id: int
    key: StepKey
    intent: Mapping[str, object]
    answer: Mapping[str, object] | None
    kind: str
    operation: str
    iccid: str
    state: str
    category: str | None
    detail: str | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeviceLock:
    """An operator's mark: the device can never be terminated while it stands."""

    iccid: str
    reason: str
    locked_by: str
    locked_at: datetime


@dataclass(frozen=True, slots=True)
class RatePlanRow:
    """A row of `PondDeviceCarrierRatePlan`: one package of a SIM as the host knows it."""

    iccid: str
    package_id: str
    package_type_id: int | None
    status: str
    data_usage_remaining_in_bytes: int | None
    service_provider_id: int
