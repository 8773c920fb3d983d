"""Moves what lies in the dead-letter queue into the durable inbox: committed first, deleted after."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from pondctl.clients.message import CheckMessage, parse_any
from pondctl.clients.move_tasks import running_moves
from pondctl.clients.queue import ReceivedMessage
from pondctl.clients.sqs import SqsQueue
from pondctl.db.database import Database
from pondctl.db.deliveries import KnownMessage
from pondctl.db.messages import IN_FLIGHT, SENT, WAITING
from pondctl.db.records import NewDeadLetter
from pondctl.db.unit import Unit
from pondctl.errors import BusyError, MessageError, PondctlError, QueueUnavailableError
from pondctl.models import Stop
from pondctl.services.queueing.deliveries import Delivery, delivery_of, letter_of, remember
from pondctl.services.running.actor import raise_if_stopped
from pondctl.telemetry.logger import Logger

# Long enough to commit ten letters; then the queue shows the messages again.
_VISIBILITY_SECONDS: Final = 60
_BATCH: Final = 10
_EVERY_SECONDS: Final = 30.0
_QUEUED: Final = (WAITING, IN_FLIGHT)
_log = Logger()


@dataclass(slots=True)
class Pulled:
    """What came of it. `known`: they were in the inbox already. `kept`: not deleted, they will come back."""

    received: int = 0
    new: int = 0
    known: int = 0
    kept: int = 0

    def as_record(self) -> dict[str, object]:
        """For output."""
        counts = {"new": self.new, "known": self.known, "not_deleted": self.kept}
        return {"command": "dead-letter pull", "received": self.received, **counts}

    def __iadd__(self, other: Pulled) -> Pulled:
        self.received += other.received
        self.new += other.new
        self.known += other.known
        self.kept += other.kept
        return self


@dataclass(slots=True)
class Puller:
    """`queue_name` is where letters came from, unless SQS names another queue."""

    database: Database
    dead: SqsQueue
    queue_name: str
    _due: float = field(default=0.0)

    def require_no_move(self) -> str | None:
        """Raise `BusyError` where AWS itself moves messages out of the queue; returns a warning where
        that could not be asked."""
        return require_no_move(self.dead)

    def pull_all(self, stop: Stop, *, most: int | None = None) -> Pulled:
        """Pull until the queue is empty, `most` have come, or a stop is asked for."""
        total = Pulled()
        while not stop.is_set():
            left = _BATCH if most is None else min(_BATCH, most - total.received)
            if left <= 0:
                break
            some = self.pull_some(left)
            total += some
            if not some.received:
                break
        return total

    def pull_some(self, limit: int = _BATCH, *, wait_seconds: int = 1) -> Pulled:
        """Pull one batch. Killed anywhere, the next pull finds each message in the queue or in the inbox."""
        received = self.dead.receive(limit, wait_seconds=wait_seconds, visibility_seconds=_VISIBILITY_SECONDS)
        if not received:
            return Pulled()
        new = self.database.write(lambda unit: sum([self._take_in(unit, each) for each in received]))
        kept = self._delete([each.receipt for each in received])
        return Pulled(len(received), new, len(received) - new, kept)

    def raise_if_stopped(self, stop: Stop) -> None:
        """Tell by the exit code that a signal came."""
        raise_if_stopped(stop, "the same again: pondctl dead-letter pull")

    def pull_when_due(self) -> None:
        """For a worker: look now and then, and let no trouble with this queue end its work."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_SECONDS
        try:
            while (some := self.pull_some(wait_seconds=0)).received:
                _log.warning("dead letters pulled", count=some.new, known_count=some.known)
        except PondctlError as error:
            _log.warning("the dead-letter queue was not pulled", error=error.message)

    def _take_in(self, unit: Unit, received: ReceivedMessage) -> bool:
        delivery, category, reason = self._read(received)
        known = unit.deliveries.find([delivery.key]).get(delivery.key)
        letter = letter_of(delivery, category, reason + _addition(known))
        if known is not None and known.error is not None:
            letter = replace(letter, attempts=({"reason": known.error}, *letter.attempts))
        there = unit.dead_letters.find(letter.key)
        if there is not None and (there.body, dict(there.attributes)) != (
            letter.body,
            dict(letter.attributes),
        ):
            # Another message under the same name: somebody copied one by hand. Neither may get lost.
            letter = replace(letter, key=_distinct(letter))
        new = unit.dead_letters.add(letter)
        if delivery.ours and not (known and known.state in _QUEUED):
            remember(unit, delivery)
        return new

    def _read(self, received: ReceivedMessage) -> tuple[Delivery, str, str]:
        source = source_url(received.source_arn, self.dead.url, self.queue_name)
        moved = f"moved to {self.dead.name} by SQS"
        try:
            parsed = parse_any(received.attributes, received.body)
        except MessageError as error:
            return delivery_of(source, received, None), error.code, f"{error.message}; {moved}"
        message = parsed if isinstance(parsed, CheckMessage) else None
        return delivery_of(source, received, message), "max_receives", f"received too often, {moved}"

    def _delete(self, receipts: Sequence[str]) -> int:
        left = [result.key for result in self.dead.delete_batch(receipts) if not result.ok]
        if left:
            left = [result.key for result in self.dead.delete_batch(left) if not result.ok]
        if left:
            _log.warning("not deleted from the dead-letter queue, they come back", count=len(left))
        return len(left)


def require_no_move(dead: SqsQueue) -> str | None:
    """See `Puller.require_no_move`."""
    try:
        moves = running_moves(dead)
    except PondctlError as error:
        return f"whether AWS moves messages out of {dead.name} is not known: {error.message}"
    if not moves:
        return None
    move = moves[0]
    to = f" to {move.destination_arn.rpartition(':')[2]}" if move.destination_arn else ""
    raise BusyError(
        f"AWS is moving messages out of {dead.name}{to} (task {move.handle[:40] or 'without a handle'}, "
        f"{move.moved:,} so far): the two would move the same messages",
        hint="wait for it, or end it: aws sqs cancel-message-move-task --task-handle HANDLE",
    )


def describe_waiting(dead: SqsQueue) -> str | None:
    """Like `waiting_note`, but a queue that gives no answer is only said."""
    try:
        return waiting_note(dead)
    except PondctlError as error:
        return f"what still lies in {dead.name} is not known: {error.message}"


def waiting_note(dead: SqsQueue) -> str | None:
    """What still lies in the dead-letter queue, and when the next of it is lost; None where it is empty."""
    attributes = dead.attributes()
    count = attributes.depth.waiting + attributes.depth.in_flight
    if not count:
        return None
    if not attributes.retention_seconds:
        raise QueueUnavailableError(f"{dead.name} does not say how long it keeps a message")
    days = attributes.retention_seconds / 86_400
    plural = "" if count == 1 else "s"
    return (
        f"{count:,} message{plural} still in {dead.name}: the next one expires within {days:g} days of when "
        "it was first sent; `pondctl dead-letter pull` saves them"
    )


def source_url(source_arn: str | None, dead_url: str, default: str) -> str:
    """The URL of the queue in which a message died; `default` where that is it, or SQS does not say."""
    parts = (source_arn or "").split(":")
    if len(parts) != 6:  # noqa: PLR2004 - arn:aws:sqs:REGION:ACCOUNT:NAME
        return default
    account, name = parts[4:]
    if default.rstrip("/").endswith(f"/{account}/{name}"):
        return default
    address = urlsplit(dead_url)
    return f"{address.scheme}://{address.netloc}/{account}/{name}"


def _addition(known: KnownMessage | None) -> str:
    """What a person should know before they queue it again."""
    if known is None or known.state == SENT:
        return ""
    return "; it was worked off before" if known.done else "; a copy of it is still queued"


def _distinct(letter: NewDeadLetter) -> str:
    content = json.dumps([letter.body, sorted(letter.attributes.items())])
    return f"{letter.key}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"
