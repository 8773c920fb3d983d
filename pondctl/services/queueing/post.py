"""A worker's errands to the queue, on threads of their own: a long poll holds up neither work nor stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from pondctl.clients.queue import BatchResult, Queue, ReceivedMessage
from pondctl.errors import PermissionDeniedError, PondctlError
from pondctl.services.queueing.dispatch import Way
from pondctl.services.queueing.errands import Errands
from pondctl.services.queueing.hand import Hand
from pondctl.services.queueing.handling import Handling
from pondctl.services.queueing.tasks import Task
from pondctl.telemetry.logger import Logger

BATCH: Final = 10
_THREADS: Final = 8
_log = Logger()

Event = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a poll has brought: so many messages, of which some were worked off before and are deleted."""

    received: int = 0
    over: int = 0
    tasks: Sequence[Task] = ()


class Post:
    """What the errands bring back are events, which `run_events` runs on the caller's thread.

    `polls` and `asked`: polls under way, and the messages they may bring. `trouble`: why nothing more
    should be received. Without the right to delete, say, each message would come again and again.
    """

    def __init__(
        self, queue: Queue, handling: Handling, hand: Hand, poll_seconds: int, visibility_seconds: int
    ) -> None:
        self._queue = queue
        self._handling = handling
        self._hand = hand
        self._poll_seconds = poll_seconds
        self._visibility_seconds = visibility_seconds
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._errands = Errands(_THREADS, "queue")
        self._others = 0
        self.polls = self.asked = 0
        self.chores_run = False
        self.trouble: Exception | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or waits to be looked at."""
        return self.is_quiet and not self.chores_run

    @property
    def is_quiet(self) -> bool:
        """Whether no poll, delete or give-back is under way."""
        return not (self.polls or self._others)

    def run_events(self, seconds: float) -> bool:
        """Wait for an event, and run all there are; False where none came."""
        try:
            event = self._events.get(timeout=seconds)
        except Empty:
            return False
        event()
        with suppress(Empty):
            while True:
                self._events.get_nowait()()
        return True

    def tell(self, event: Event) -> None:
        """Let `run_events` run this."""
        self._events.put(event)

    def ask(self, limit: int, told: Callable[[Looked], None], failed: Callable[[Exception], None]) -> None:
        """Poll for up to `limit` messages, and look at them."""
        self.polls += 1
        self.asked += limit

        def ended(looked: Looked, error: Exception | None) -> None:
            self.polls -= 1
            self.asked -= limit
            failed(error) if error else told(looked)

        def poll() -> None:
            try:
                looked = self._look(self._receive(limit))
            except Exception as error:
                self.tell(partial(ended, Looked(), error))
            else:
                self.tell(partial(ended, looked, None))

        self._errands.send(poll)

    def look_again(
        self,
        received: Sequence[ReceivedMessage],
        told: Callable[[Looked], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Look once more at messages that are in hand."""

        def look() -> None:
            try:
                looked = self._look(received)
            except Exception as error:
                self.tell(partial(failed, error))
            else:
                self.tell(partial(told, replace(looked, received=0)))

        self._send(look)

    def _receive(self, limit: int) -> list[ReceivedMessage]:
        """As many as there are without another wait: looked at together, they are one question."""
        received: list[ReceivedMessage] = []
        wait_seconds, full = self._poll_seconds, True
        while full and len(received) < limit:
            asked = min(BATCH, limit - len(received))
            try:
                some = self._queue.receive(
                    asked, wait_seconds=wait_seconds, visibility_seconds=self._visibility_seconds
                )
            except PondctlError:
                if not received:
                    raise
                break
            self._hand.take([message.receipt for message in some])
            received += some
            wait_seconds, full = 0, len(some) == asked
        return received

    def _look(self, batch: Sequence[ReceivedMessage]) -> Looked:
        """What needs nothing more is deleted here and now, on this very thread."""
        if not batch:
            return Looked()
        try:
            tasks = self._handling.look_at(batch)
            over = [task for task in tasks if task.route.way is Way.WORKED_OFF]
            self._handling.forget(over)
        except Exception:
            self.give_back_now([message.receipt for message in batch], 0)
            raise
        if over:
            self.delete_now([task.delivery.received.receipt for task in over])
        rest = [task for task in tasks if task.route.way is not Way.WORKED_OFF]
        return Looked(len(batch), len(over), rest)

    def run_chores(
        self, chores: Callable[[], int], told: Callable[[int], None], failed: Callable[[Exception], None]
    ) -> None:
        """Do the chores beside the work."""
        self.chores_run = True

        def ended(count: int, error: Exception | None) -> None:
            self.chores_run = False
            failed(error) if error else told(count)

        def work() -> None:
            try:
                count = chores()
            except Exception as error:
                self.tell(partial(ended, 0, error))
            else:
                self.tell(partial(ended, count, None))

        self._errands.send(work)

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages by and by."""
        if receipts:
            self._send(partial(self.delete_now, receipts))

    def give_back(self, receipts: Sequence[str], seconds: int) -> None:
        """Let messages come back to whoever asks, after so many seconds, by and by."""
        if receipts:
            self._send(partial(self.give_back_now, receipts, seconds))

    def delete_now(self, receipts: Sequence[str]) -> None:
        """Delete messages; one that cannot be deleted comes back, and is known as worked off then."""
        left = self._try(self._queue.delete_batch, receipts)
        if left:
            left = self._try(self._queue.delete_batch, left)
        if left:
            _log.warning("messages not deleted, they will come back", count=len(left))
        self._hand.drop(receipts)

    def give_back_now(self, receipts: Sequence[str], seconds: int) -> None:
        """Let messages come back; where that fails they do when their visibility ends."""
        self._hand.drop(receipts)
        self._try(lambda some: self._queue.change_visibility_batch(some, seconds), receipts)

    def close(self) -> None:
        """Take no more errands."""
        self._errands.close()

    def _send(self, errand: Event) -> None:
        self._others += 1

        def ended() -> None:
            self._others -= 1

        def work() -> None:
            try:
                errand()
            except Exception as error:
                self.trouble = error
            finally:
                self.tell(ended)

        self._errands.send(work)

    def _try(self, call: Callable[[Sequence[str]], list[BatchResult]], receipts: Sequence[str]) -> list[str]:
        """Returns the receipts that failed."""
        try:
            return [result.key for result in call(receipts) if not result.ok]
        except PondctlError as error:
            _log.warning("queue trouble", error=error.message)
            if isinstance(error, PermissionDeniedError):
                self.trouble = error
            return list(receipts)
