"""Sends what waits in the outbox: claim, send, and only what the queue confirmed is marked as sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pondctl.clients.delays import hop_delay
from pondctl.clients.queue import BatchResult, OutgoingMessage, Queue
from pondctl.db.database import Database
from pondctl.db.messages import WAITING
from pondctl.db.records import NewDeadLetter, QueueMessage
from pondctl.db.unit import Unit
from pondctl.errors import PermissionDeniedError, PondctlError, QueueUnavailableError, UnavailableError
from pondctl.telemetry.logger import Logger

_BATCH: Final = 10
# So long a batch is nobody else's; after that its sender is taken for dead.
_CLAIM_SECONDS: Final = 60
_AGAIN_SECONDS: Final = 5
_LONGEST_PAUSE: Final = 300
_REFUSED_FOR_GOOD: Final = 3
_log = Logger()


@dataclass(frozen=True, slots=True)
class Outbox:
    """The outbox of one SQS queue; any number of processes may send from it at once.

    `queue_name` is what the table calls the queue: its URL. A message that is due beyond the queue's
    longest delay is sent with that delay and comes back here; a FIFO queue has no delay, so there the
    outbox holds it until it is due.
    """

    database: Database
    queue: Queue
    queue_name: str

    def flush(self, *, most: int = 10_000) -> int:
        """Send what can be sent now; returns how many were sent.

        Raises what the queue raises; what was not confirmed stays for the next flush.
        """
        sent = tried = 0
        while tried < most:
            batch, now = self.database.write(self._claim)
            if not batch:
                break
            tried += len(batch)
            sent += self._send(batch, now)
        return sent

    def require_sent(self, bulk_change_id: int) -> None:
        """Flush; raises where the check of this bulk change could not be sent, and only then."""
        trouble: PondctlError | None = None
        try:
            self.flush()
        except PondctlError as error:
            trouble = error
        left = self.database.read(lambda unit: self._errors_of(unit, bulk_change_id))
        if left and isinstance(trouble, PermissionDeniedError):
            raise trouble
        if left:
            raise QueueUnavailableError(
                f"the next check of bulk change {bulk_change_id} could not be sent to {self.queue.name}: "
                f"{left[0]}",
                hint="it is kept in the outbox: the next run or `pondctl worker` sends it",
            )
        if trouble is not None:
            _log.warning("messages of other bulk changes were not sent", error=trouble.message)

    def require_all_sent(self) -> None:
        """Raises where messages stay here that the queue did not take."""
        count, error = self.database.read(lambda unit: unit.messages.unsent(self.queue_name))
        if count:
            raise QueueUnavailableError(
                f"messages that could not be sent to {self.queue.name}: {count:,}, for one of them: {error}",
                hint="they are kept in the outbox: the next run or `pondctl worker` sends them",
            )

    def _claim(self, unit: Unit) -> tuple[list[QueueMessage], datetime]:
        ahead = self.queue.longest_delay_seconds != 0
        batch = unit.messages.receive(self.queue_name, _BATCH, _CLAIM_SECONDS, ahead=ahead)
        return batch, unit.now()

    def _send(self, batch: Sequence[QueueMessage], now: datetime) -> int:
        longest = self.queue.longest_delay_seconds
        outgoing = [_outgoing(message, hop_delay(message.not_before, now, longest)) for message in batch]
        try:
            results = self.queue.send_batch(outgoing)
        except PondctlError as error:
            failed = [BatchResult(message.key, error.message) for message in outgoing]
            self.database.write(lambda unit: _record(unit, batch, failed))
            raise
        self.database.write(lambda unit: _record(unit, batch, results))
        return sum(result.ok for result in results)

    def _errors_of(self, unit: Unit, bulk_change_id: int) -> list[str]:
        """Why this bulk change's messages were not sent, where it was tried."""
        waiting = unit.messages.waiting_for(bulk_change_id)
        known = unit.deliveries.find([message.key for message in waiting if message.state == WAITING])
        return [message.error for message in known.values() if message.error is not None]


@contextmanager
def sent_afterwards(outbox: Outbox | None, bulk_change_id: int) -> Iterator[None]:
    """Send the next check of a bulk change once the block, a run, has queued it; None: a worker sends it.

    Raises `QueueUnavailableError` where it could not be sent; the run itself is over and saved by then.
    """
    try:
        yield
    except UnavailableError:
        if outbox is not None:
            # The trouble that ended the run is the one to tell; what is not sent stays in the outbox.
            with suppress(PondctlError):
                outbox.flush()
        raise
    if outbox is not None:
        outbox.require_sent(bulk_change_id)


def _outgoing(message: QueueMessage, delay_seconds: int) -> OutgoingMessage:
    # One name for each time it is queued: within five minutes a FIFO queue drops a name it has seen,
    # which is right for a repeated send and wrong for a copy that was queued later.
    name = f"{message.key}.{message.not_before:%Y%m%d%H%M%S%f}"
    group = None if message.bulk_change_id is None else str(message.bulk_change_id)
    return OutgoingMessage(name, message.attributes, message.body, delay_seconds, group)


def _record(unit: Unit, batch: Sequence[QueueMessage], results: Sequence[BatchResult]) -> None:
    for message, result in zip(batch, results, strict=True):
        if result.error is None:
            unit.messages.mark_sent(message, result.key)
        elif result.permanent and message.receive_count >= _REFUSED_FOR_GOOD:
            _bury(unit, message, result.error)
        else:
            pause = min(_AGAIN_SECONDS * 2 ** min(message.receive_count - 1, 10), _LONGEST_PAUSE)
            unit.messages.note_error(message, result.error, pause)
            _log.warning(
                "message not sent", message_id=message.key, error=result.error, retry_in_seconds=pause
            )


def _bury(unit: Unit, message: QueueMessage, error: str) -> None:
    """The queue will never take it: a person has to look."""
    reason = f"the queue refused it: {error}"
    unit.dead_letters.add(
        NewDeadLetter(
            key=message.key,
            source_queue=message.queue,
            body=message.body,
            attributes=message.attributes,
            category="not_sent",
            reason=reason,
            bulk_change_id=message.bulk_change_id,
            retry_number=message.retry_number,
        )
    )
    unit.messages.delete(message)
    _log.error("message refused for good", message_id=message.key, error=error)
