"""A worker's errands to the queue, on threads of their own: a long poll holds up neither work nor stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

import structlog

from pondctl.clients.queue import BatchResult, Queue, ReceivedMessage
from pondctl.errors import PondctlError
from pondctl.services._errands import Errands
from pondctl.services._hand import Hand

BATCH: Final = 10
_THREADS: Final = 8
_log = structlog.get_logger()

Event = Callable[[], None]


class Post:
    """What the errands bring back are events, which `run_events` runs on the caller's thread.

    `polls` and `asked`: polls under way, and the messages they may bring.
    """

    def __init__(self, queue: Queue, hand: Hand, poll_seconds: int, visibility_seconds: int) -> None:
        self._queue = queue
        self._hand = hand
        self._poll_seconds = poll_seconds
        self._visibility_seconds = visibility_seconds
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._errands = Errands(_THREADS, "queue")
        self._received: list[ReceivedMessage] = []
        self._others = 0
        self.polls = self.asked = 0
        self.chores_run = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or waits to be looked at."""
        return not (self.polls or self._others or self.chores_run or self._received)

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

    def take_received(self) -> list[ReceivedMessage]:
        """The messages that the polls have brought since last time."""
        received, self._received = self._received, []
        return received

    def ask(self, limit: int, told: Callable[[int], None], failed: Callable[[Exception], None]) -> None:
        """Poll for up to `limit` messages."""
        self.polls += 1
        self.asked += limit

        def ended(batch: Sequence[ReceivedMessage], error: Exception | None) -> None:
            self.polls -= 1
            self.asked -= limit
            self._received += batch
            failed(error) if error else told(len(batch))

        def poll() -> None:
            try:
                batch = self._queue.receive(
                    limit, wait_seconds=self._poll_seconds, visibility_seconds=self._visibility_seconds
                )
            except Exception as error:
                self.tell(partial(ended, [], error))
            else:
                self._hand.take([message.receipt for message in batch])
                self.tell(partial(ended, batch, None))

        self._errands.send(poll)

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
            finally:
                self.tell(ended)

        self._errands.send(work)

    def _try(self, call: Callable[[Sequence[str]], list[BatchResult]], receipts: Sequence[str]) -> list[str]:
        """Returns the receipts that failed."""
        try:
            return [result.key for result in call(receipts) if not result.ok]
        except PondctlError as error:
            _log.warning("queue trouble", error=error.message)
            return list(receipts)
