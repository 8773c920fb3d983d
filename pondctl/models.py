"""The vocabulary: frozen records and enums that every layer speaks. No I/O."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from pondctl.errors import PRECEDENCE, Category, ExitCode

# The name under which messages lie in the database itself, where no SQS queue is set.
EMBEDDED_QUEUE = "embedded"

_FILLERS = re.compile(r"[ \t\u00a0-]")
_ICCID = re.compile(r"89[0-9]{16,20}")


class Outcome(StrEnum):
    """What happened to one device in one run; the same words in every command."""

    DONE = "done"
    UNCHANGED = "unchanged"
    PENDING = "pending"
    DEFERRED = "deferred"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Carrier(StrEnum):
    """The two carriers."""

    THINGSPACE = "thingspace"
    POND = "pond"


class Operation(StrEnum):
    """What a run does to a device."""

    ACTIVATE = "activate"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    SYNC = "sync"


class Strategy(StrEnum):
    """How the open devices of a bulk change are looked at."""

    AUTO = "auto"
    LOOKUP = "lookup"
    SCAN = "scan"


class BulkStatus(StrEnum):
    """Status words of the host system, for headers and for rows."""

    NEW = "NEW"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    PROCESSED = "PROCESSED"
    ERROR = "ERROR"
    API_FAILED = "API_FAILED"


class DeviceState(StrEnum):
    """A carrier's state, normalised for decisions only; the carrier's own word is kept beside it."""

    ACTIVE = "active"
    PENDING_ACTIVATION = "pending activation"
    SUSPENDED = "suspend"
    DEACTIVE = "deactive"
    PRE_ACTIVE = "pre active"
    PENDING_DEACTIVATION = "pending deactivation"
    UNKNOWN = "unknown"


class BulkChange(NamedTuple):
    """One header row of the host system."""

    id: int
    service_provider_id: int
    tenant_id: int | None
    change_request_type: str
    status: str
    created_by: str | None
    created_date: datetime | None
    processed_date: datetime | None


@dataclass(frozen=True, slots=True)
class BulkChangeSummary:
    """A header with what its rows say now."""

    bulk_change: BulkChange
    devices: int
    settled: int
    with_errors: int
    without_msisdn: int


# Tuples: a run over a million devices makes one of each for every device, in a third of the time.
class DeviceChange(NamedTuple):
    """One row of `M2M_DeviceChange`: one device of one bulk change. `iccid` is as the host wrote it."""

    id: int
    bulk_change_id: int
    iccid: str | None
    msisdn: str | None
    status: str | None
    status_details: str | None
    has_errors: bool
    is_processed: bool
    processed_by: str | None = None
    change_request: str | None = None
    device_id: int | None = None


class Device(NamedTuple):
    """A device as ThingSpace shows it. `carrier_state` is the carrier's own word."""

    iccid: str
    state: DeviceState
    carrier_state: str
    msisdn: str | None = None
    account_name: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """The carrier tokens that all processes share; `refused` logins in a row for this very credential."""

    bearer: str | None = None
    bearer_seconds_left: float = 0.0
    session: str | None = None
    session_idle_seconds: float = 0.0
    refused: int = 0
    version: int = 0


class DeviceOutcome(NamedTuple):
    """What became of one device change (or of one ICCID outside a bulk change) in one run."""

    iccid: str
    outcome: Outcome
    category: Category | None = None
    carrier_state: str | None = None
    msisdn: str | None = None
    detail: str | None = None
    device_change_id: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The check that was queued: which number it has and in how many seconds it is due."""

    retry_number: int
    delay_seconds: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. Devices themselves are reported while it runs, so memory does not grow."""

    command: str
    run_id: str
    counts: Mapping[Outcome, int]
    dry_run: bool = False
    bulk_change_id: int | None = None
    retry: Retry | None = None
    hints: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """The worst truth that holds (design: the exit codes); a dry run that could read is 0."""
        if self.dry_run:
            return ExitCode.OK
        holds = {ExitCode.OK}
        if self.counts.get(Outcome.UNKNOWN):
            holds.add(ExitCode.UNKNOWN)
        if self.counts.get(Outcome.FAILED) or self.counts.get(Outcome.SKIPPED):
            holds.add(ExitCode.PARTIAL)
        if self.counts.get(Outcome.PENDING) or self.counts.get(Outcome.DEFERRED):
            holds.add(ExitCode.WAITING)
        return next(code for code in PRECEDENCE if code in holds)

    @property
    def status(self) -> str:
        """The word for json output."""
        return _STATUS_WORDS.get(self.exit_code, "error")


_STATUS_WORDS = {
    ExitCode.OK: "success",
    ExitCode.PARTIAL: "partial",
    ExitCode.WAITING: "waiting",
    ExitCode.UNKNOWN: "unknown",
    ExitCode.DRIFT: "drift",
}


class Stop(threading.Event):
    """Set once when the run must start nothing new; `why` says so in a word: `sigint`, `sigterm`, `lost`."""

    why: str | None = None

    def request(self, why: str) -> None:
        """Ask for an orderly stop; the first reason stands."""
        self.why = self.why or why
        self.set()


def normalize_iccid(text: str | None) -> str | None:
    """Return the ICCID as it is sent to a carrier, or None where `text` is no ICCID.

    `89` and 16 to 20 more ASCII digits once blanks, dashes and a final F (the padding of the SIM's
    own storage) are stripped; never shortened.
    """
    if text is None:
        return None
    if _ICCID.fullmatch(text):
        return text
    bare = _FILLERS.sub("", text)
    bare = bare[:-1] if bare[-1:] in ("F", "f") else bare
    return bare if _ICCID.fullmatch(bare) else None


def luhn_holds(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit; a failure is worth a warning, no refusal."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        tens, ones = divmod(int(char) * (1 + place % 2), 10)
        total += tens + ones
    return total % 10 == 0


@lru_cache(maxsize=256)  # a million devices share a few words
def normalize_state(carrier_state: str) -> DeviceState:
    """Map a carrier's word to a state; an unknown word stays unknown, it is never guessed."""
    word = carrier_state.strip().lower().replace("_", " ").replace("-", " ")
    return _STATES.get(word, DeviceState.UNKNOWN)


_STATES = {
    "active": DeviceState.ACTIVE,
    "pending activation": DeviceState.PENDING_ACTIVATION,
    "suspend": DeviceState.SUSPENDED,
    "suspended": DeviceState.SUSPENDED,
    "deactive": DeviceState.DEACTIVE,
    "deactivated": DeviceState.DEACTIVE,
    "deactivate": DeviceState.DEACTIVE,
    "pre active": DeviceState.PRE_ACTIVE,
    "preactive": DeviceState.PRE_ACTIVE,
    "pending deactivation": DeviceState.PENDING_DEACTIVATION,
}
