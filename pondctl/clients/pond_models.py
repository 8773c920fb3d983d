"""What POND shows of a SIM: its packages and its services. The carrier's own words stay beside ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PackageStatus(StrEnum):
    """A package's status as it travels; a word that is none of these is UNKNOWN, never guessed."""

    NOT_ACTIVE = "NOT_ACTIVE"
    ACTIVE = "ACTIVE"
    TERMINATED = "TERMINATED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Package:
    """One subscription of a SIM; it can have several. `created_at` is UTC, None where not readable."""

    package_id: str
    package_type_id: int | None
    status: PackageStatus
    carrier_status: str
    created_at: datetime | None
    data_usage_remaining_in_bytes: int | None
    iccid: str


@dataclass(frozen=True, slots=True)
class SimServices:
    """The three switches of a SIM (None: the carrier does not say) and its observed state."""

    data: bool | None
    voice: bool | None
    sms: bool | None
    sim_status: str | None
