"""What the database layer takes in and gives out beside the vocabulary of `models`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pondctl.models import DeviceOutcome


@dataclass(frozen=True, slots=True)
class NewBulkChange:
    """A header to be written."""

    service_provider_id: int
    change_request_type: str
    created_by: str
    tenant_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewDeviceChange:
    """A row to be written: one device of a new bulk change."""

    iccid: str | None
    change_request: str | None = None
    device_id: int | None = None
    msisdn: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeLogEntry:
    """One line of the host's step log. Texts are redacted by whoever makes them."""

    bulk_change_id: int
    device_change_id: int | None
    description: str
    has_errors: bool = False
    error_text: str | None = None
    request_text: str | None = None
    response_text: str | None = None
    response_status: str | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run about to start. `target` is what it needs for itself alone (`bulk_change:42`)."""

    run_id: str
    command: str
    target: str | None
    actor: str
    host: str
    host_key: str
    pid: int
    process_started: float
    profile: str
    reason: str | None
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it stands. `stale`: it says `running`, but its lease is over in database time."""

    run_id: str
    command: str
    target: str | None
    state: str
    actor: str
    host: str
    host_key: str
    pid: int
    process_started: float
    profile: str
    reason: str | None
    arguments: Mapping[str, object]
    counts: Mapping[str, int]
    error: str | None
    cancel_requested: bool
    started_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None
    stale: bool


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """An outcome kept with its run; `seq` rises in the order of deciding."""

    seq: int
    outcome: DeviceOutcome


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message for the outbox (`queue` is an SQS URL) or for the embedded queue."""

    key: str
    queue: str
    attributes: Mapping[str, str]
    body: str
    bulk_change_id: int | None = None
    retry_number: int = 0
    delay_seconds: float = 0
    lineage: str | None = None


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as the table has it. `receipt` proves that it is in our hands."""

    id: int
    key: str
    queue: str
    attributes: Mapping[str, str]
    body: str
    bulk_change_id: int | None
    retry_number: int
    state: str
    receive_count: int
    receipt: str | None
    lineage: str | None
    created_at: datetime
    not_before: datetime
    seconds_until_due: float


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How much lies in a queue; `oldest_age_seconds` of what waits, None when nothing does."""

    waiting: int
    delayed: int
    in_flight: int
    oldest_age_seconds: float | None


@dataclass(frozen=True, slots=True)
class NewDeadLetter:
    """A message that will not be retried by itself. `key` names it once over all its deliveries."""

    key: str
    source_queue: str
    body: str
    attributes: Mapping[str, str]
    category: str
    reason: str
    source_message_id: str | None = None
    lineage: str | None = None
    bulk_change_id: int | None = None
    retry_number: int = 0
    receive_count: int = 0
    attempts: tuple[Mapping[str, object], ...] = ()
    expires_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as the inbox has it; `state` is open, requeued or discarded."""

    id: int
    key: str
    source_queue: str
    source_message_id: str | None
    lineage: str | None
    bulk_change_id: int | None
    retry_number: int
    receive_count: int
    body: str
    attributes: Mapping[str, str]
    category: str
    reason: str
    attempts: tuple[Mapping[str, object], ...]
    state: str
    requeue_count: int
    created_at: datetime
    expires_at: datetime | None
    changed_at: datetime
    changed_by: str | None
    change_reason: str | None


class DeadLetterHead(NamedTuple):
    """What a list shows of a dead letter: nothing of what the message carries."""

    id: int
    bulk_change_id: int | None
    retry_number: int
    category: str
    reason: str
    state: str
    requeue_count: int
    created_at: datetime
    expires_at: datetime | None
    changed_at: datetime
    changed_by: str | None
    change_reason: str | None


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; every field that is given narrows.

    `iccid`: those that name it, and those of `iccid_bulk_changes`, the bulk changes that hold it.
    """

    state: str | None = None
    category: str | None = None
    bulk_change_id: int | None = None
    source_queue: str | None = None
    text: str | None = None
    within_seconds: float | None = None
    older_than_seconds: float | None = None
    iccid: str | None = None
    iccid_bulk_changes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `db check` has seen. `level` is error, warning or note; `remedy` is one line to copy."""

    level: str
    subject: str
    message: str
    remedy: str
