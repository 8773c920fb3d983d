"""What every queue can do, and the records that go in and out of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send. `key` is ours and unique; `attributes` in the plain form of `attributes.py`.

    A FIFO queue keeps the order within `group`, and drops a second message with the same key.
    """

    key: str
    attributes: Mapping[str, str]
    body: str
    delay_seconds: int = 0
    group: str | None = None


class ReceivedMessage(NamedTuple):
    """A message in our hands until its visibility ends. Times are naive UTC.

    `source_arn` is the queue that it died in, where SQS itself moved it to a dead-letter queue.
    """

    message_id: str
    receipt: str
    attributes: Mapping[str, str]
    body: str
    receive_count: int
    sent_at: datetime | None = None
    group: str | None = None
    source_arn: str | None = None


class BatchResult(NamedTuple):
    """What became of one entry of a batch; `key` is that of the message, or the receipt.

    No `error` means that the queue confirmed it. `permanent`: the same entry will fail again.
    """

    key: str
    error: str | None = None
    permanent: bool = False

    @property
    def ok(self) -> bool:
        """Whether the queue confirmed this entry."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many messages there are; SQS counts approximately and does not tell the oldest age."""

    waiting: int
    delayed: int
    in_flight: int
    oldest_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class QueueAttributes:
    """How an SQS queue is set up. No `dead_letter_arn`: nothing ever leaves it by itself."""

    arn: str
    fifo: bool
    visibility_seconds: int
    retention_seconds: int
    dead_letter_arn: str | None
    max_receive_count: int | None
    depth: QueueDepth


class Queue(Protocol):
    """What a worker and the outbox need of a queue, be it SQS or the embedded one."""

    @property
    def name(self) -> str:
        """The name that people know it by."""

    @property
    def longest_delay_seconds(self) -> int | None:
        """How long it can hold one message back; None: as long as asked."""

    def send_batch(self, messages: Sequence[OutgoingMessage]) -> list[BatchResult]:
        """Send; one result per message, in order."""

    def receive(
        self, limit: int, *, wait_seconds: int, visibility_seconds: int | None
    ) -> list[ReceivedMessage]:
        """Take up to `limit` messages, waiting for the first one."""

    def delete_batch(self, receipts: Sequence[str]) -> list[BatchResult]:
        """Delete messages that are done; one result per receipt, in order."""

    def change_visibility_batch(self, receipts: Sequence[str], seconds: int) -> list[BatchResult]:
        """Keep messages for `seconds` from now, or give them back (0)."""

    def depth(self) -> QueueDepth:
        """Count the messages."""
