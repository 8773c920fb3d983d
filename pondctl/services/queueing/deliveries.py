"""A message in our hands: worked off once, however often it comes; copied, or buried with the reason."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final, NamedTuple

from pondctl.clients.callback import without_password
from pondctl.clients.message import CheckMessage, bulk_change_named_in
from pondctl.clients.queue import ReceivedMessage
from pondctl.db.records import NewDeadLetter, NewMessage
from pondctl.db.unit import Unit
from pondctl.errors import Category
from pondctl.models import EMBEDDED_QUEUE

_LONGEST_KEY: Final = 64


class Delivery(NamedTuple):
    """`key` stands for the message over all its deliveries; `ours`: pondctl has given it that key.

    Of a message that others sent, the queue's own id has to do.
    """

    queue: str
    received: ReceivedMessage
    key: str
    ours: bool
    message: CheckMessage | None = None


def delivery_of(queue: str, received: ReceivedMessage, message: CheckMessage | None) -> Delivery:
    """The delivery of a message that was just received; no `message` where it could not be read."""
    given = message.envelope.key if message is not None else None
    if queue == EMBEDDED_QUEUE:
        return Delivery(queue, received, received.message_id, True, message)
    key = given or received.message_id
    if len(key) > _LONGEST_KEY:
        key = hashlib.sha256(key.encode()).hexdigest()
    return Delivery(queue, received, key, given is not None, message)


def remember(unit: Unit, delivery: Delivery) -> None:
    """The message is worked off. In the transaction of its effect: then no other delivery has one."""
    unit.deliveries.remember(replace(_new(delivery, {}, ""), bulk_change_id=None))


def work_off(unit: Unit, delivery: Delivery, *, exhausted: bool) -> None:
    """The end of a run that a message caused; where its retries are used up, it becomes a dead letter."""
    if exhausted:
        reason = "the deadline has passed or the retries are used up"
        unit.dead_letters.add(letter_of(delivery, Category.RETRIES_EXHAUSTED, reason))
    unit.afterwards(lambda unit: remember(unit, delivery))


def copy_later(unit: Unit, delivery: Delivery, delay_seconds: float, *, error: str | None = None) -> None:
    """Queue an unchanged copy in the outbox; the original is deleted afterwards, and no receive is burnt."""
    received = delivery.received
    # A carrier's notification has its password in it; nothing of ours needs a body that it could not read.
    body = received.body if delivery.message else without_password(received.body)
    copy = _new(delivery, dict(received.attributes), body, delay_seconds)
    unit.deliveries.put_back(copy, receipt=_receipt(delivery), error=error)


def bury(unit: Unit, delivery: Delivery, category: str, reason: str) -> None:
    """Make a dead letter of the message; a second delivery of it makes no second one."""
    unit.dead_letters.add(letter_of(delivery, category, reason))
    remember(unit, delivery)


def letter_of(delivery: Delivery, category: str, reason: str) -> NewDeadLetter:
    """The dead letter that a message becomes; a password in it is not kept."""
    message, received = delivery.message, delivery.received
    named = message.bulk_change_id if message else bulk_change_named_in(received.attributes)
    return NewDeadLetter(
        key=delivery.key,
        source_queue=delivery.queue,
        source_message_id=received.message_id,
        body=_storable(without_password(received.body)),
        attributes=received.attributes,
        category=category,
        reason=reason,
        lineage=message.envelope.lineage[0] if message and message.envelope.lineage else None,
        bulk_change_id=named,
        retry_number=message.retry_number if message else 0,
        receive_count=received.receive_count,
        attempts=({"category": category, "reason": reason, "receive_count": received.receive_count},),
    )


def _new(delivery: Delivery, attributes: dict[str, str], body: str, delay_seconds: float = 0) -> NewMessage:
    message = delivery.message
    return NewMessage(
        key=delivery.key,
        queue=delivery.queue,
        attributes=attributes,
        body=body,
        bulk_change_id=message.bulk_change_id if message else None,
        retry_number=message.retry_number if message else 0,
        delay_seconds=delay_seconds,
    )


def _receipt(delivery: Delivery) -> str | None:
    """The table's own receipt, of the embedded queue alone (there it stands behind the row's id)."""
    return delivery.received.receipt.partition("/")[2] or None if delivery.queue == EMBEDDED_QUEUE else None


def _storable(text: str) -> str:
    """Half a surrogate pair is no text to a database."""
    return text.encode("utf-8", "backslashreplace").decode()
