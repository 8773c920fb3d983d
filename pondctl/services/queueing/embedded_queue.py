"""The queue for those who have none: a table, with the visibility, receive count and delay of SQS."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pondctl.clients.message import CheckMessage, parse
from pondctl.clients.queue import BatchResult, OutgoingMessage, QueueDepth, ReceivedMessage
from pondctl.db.database import Database
from pondctl.db.records import NewMessage, QueueMessage
from pondctl.db.unit import Unit
from pondctl.errors import MessageError
from pondctl.models import EMBEDDED_QUEUE, Stop
from pondctl.services.queueing.deliveries import bury, delivery_of

MAX_RECEIVES: Final = 5
VISIBILITY_SECONDS: Final = 90
_LOOK_SECONDS: Final = 1.0


class EmbeddedQueue:
    """Implements `Queue`. What was received more than `max_receives` times becomes a dead letter."""

    name = EMBEDDED_QUEUE
    longest_delay_seconds: int | None = None

    def __init__(self, database: Database, stop: Stop, *, max_receives: int = MAX_RECEIVES) -> None:
        self._database = database
        self._stop = stop
        self._max_receives = max_receives
        self._in_hand: dict[str, QueueMessage] = {}

    def send_batch(self, messages: Sequence[OutgoingMessage]) -> list[BatchResult]:
        """Put messages in; one whose key is there already is not put in again."""

        def send(unit: Unit) -> None:
            for message in messages:
                unit.messages.add(_new(message))

        self._database.write(send)
        return [BatchResult(message.key) for message in messages]

    def receive(
        self, limit: int, *, wait_seconds: int = 20, visibility_seconds: int | None = None
    ) -> list[ReceivedMessage]:
        """Take up to `limit` messages, waiting for the first one; a stop ends the wait."""
        seconds = VISIBILITY_SECONDS if visibility_seconds is None else visibility_seconds
        deadline = time.monotonic() + wait_seconds
        while True:
            if self._database.read(lambda unit: unit.messages.depth(EMBEDDED_QUEUE).waiting):
                taken = self._database.write(lambda unit: self._take(unit, limit, seconds))
                if taken:
                    return taken
            left = deadline - time.monotonic()
            if left <= 0 or self._stop.wait(min(left, _LOOK_SECONDS)):
                return []

    def delete_batch(self, receipts: Sequence[str]) -> list[BatchResult]:
        """Delete what is still in our hands; what is not is another's to delete."""
        results = self._each(receipts, lambda unit, message: unit.messages.delete(message) or True)
        for receipt in receipts:
            self._in_hand.pop(receipt, None)
        return results

    def change_visibility_batch(self, receipts: Sequence[str], seconds: int) -> list[BatchResult]:
        """Keep messages for `seconds` from now, or give them back (0)."""
        return self._each(receipts, lambda unit, message: unit.messages.extend(message, seconds))

    def depth(self) -> QueueDepth:
        """Count the messages."""
        found = self._database.read(lambda unit: unit.messages.depth(EMBEDDED_QUEUE))
        return QueueDepth(found.waiting, found.delayed, found.in_flight, found.oldest_age_seconds)

    def _take(self, unit: Unit, limit: int, seconds: int) -> list[ReceivedMessage]:
        taken: list[ReceivedMessage] = []
        for row in unit.messages.receive(EMBEDDED_QUEUE, limit, seconds):
            received = _received(row)
            if row.receive_count > self._max_receives:
                reason = f"received {self._max_receives} times and never worked off"
                bury(unit, delivery_of(EMBEDDED_QUEUE, received, _read(received)), "max_receives", reason)
            else:
                self._in_hand[received.receipt] = row
                taken.append(received)
        return taken

    def _each(self, receipts: Sequence[str], work: Callable[[Unit, QueueMessage], bool]) -> list[BatchResult]:
        held = [self._in_hand.get(receipt) for receipt in receipts]

        def do(unit: Unit) -> list[bool]:
            return [message is not None and work(unit, message) for message in held]

        done = self._database.write(do)
        return [
            BatchResult(receipt, None if ok else "not in our hands", permanent=not ok)
            for receipt, ok in zip(receipts, done, strict=True)
        ]


def _new(message: OutgoingMessage) -> NewMessage:
    known = _read_parts(message.attributes, message.body)
    return NewMessage(
        key=message.key,
        queue=EMBEDDED_QUEUE,
        attributes=message.attributes,
        body=message.body,
        bulk_change_id=known.bulk_change_id if known else None,
        retry_number=known.retry_number if known else 0,
        delay_seconds=message.delay_seconds,
    )


def _received(row: QueueMessage) -> ReceivedMessage:
    return ReceivedMessage(
        message_id=row.key,
        receipt=f"{row.id}/{row.receipt}",
        attributes=row.attributes,
        body=row.body,
        receive_count=row.receive_count,
        sent_at=row.created_at,
    )


def _read(received: ReceivedMessage) -> CheckMessage | None:
    return _read_parts(received.attributes, received.body)


def _read_parts(attributes: Mapping[str, str], body: str) -> CheckMessage | None:
    """A queue takes what it is given; whether it can be read is for whoever receives it."""
    try:
        return parse(attributes, body)
    except MessageError:
        return None
