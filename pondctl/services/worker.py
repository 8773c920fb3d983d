"""Consumes the queue: receive, look, work off, delete. Many bulk changes at once, each by one worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from pondctl.clients.queue import Queue
from pondctl.errors import InterruptedRunError, PondctlError, TerminatedRunError, UnavailableError
from pondctl.models import Stop
from pondctl.services.queueing.embedded_queue import EmbeddedQueue
from pondctl.services.queueing.hand import Hand
from pondctl.services.queueing.handling import Handling
from pondctl.services.queueing.post import Looked, Post
from pondctl.services.queueing.tally import Tally, WorkerOptions
from pondctl.services.queueing.tasks import Handled, Task
from pondctl.services.queueing.turns import Turns
from pondctl.telemetry.logger import Logger

# So many batches in a row without a run: what is in the queue is worked off as fast as it comes.
_QUICK_AFTER: Final = 3
_QUICK_POLLS: Final = 3
# Then several batches are looked at together: one question to the database for all of them.
_TOGETHER: Final = 50
_TURN_SECONDS: Final = 0.25
_CHORES_EVERY_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_SOON_SECONDS: Final = 0.3
# A platform kills 30 seconds after SIGTERM; a long poll and a carrier call in flight end within this.
_WIND_DOWN_SECONDS: Final = 20.0
_SIGNALS: Final = {"sigint": InterruptedRunError, "sigterm": TerminatedRunError}
_log = Logger()


class Worker:
    """`chores` is told whether the queue is empty and returns how many messages it has put there; it may
    raise. `watch` gets the tally and the number of messages in hand in every turn."""

    def __init__(
        self,
        queue: Queue,
        handling: Handling,
        stop: Stop,
        options: WorkerOptions,
        *,
        chores: Callable[[bool], int],
        watch: Callable[[Tally, int], None],
    ) -> None:
        self._handling = handling
        self._stop = stop
        self._options = options
        self._chores = chores
        self._watch = watch
        self._hand = Hand(queue, stop, options.visibility_seconds)
        # Asked without waiting, SQS looks at a few of its servers only and may call a queue empty.
        shortest = 0 if isinstance(queue, EmbeddedQueue) else 1
        poll_seconds = shortest if options.once else options.poll_seconds
        self._pool = ThreadPoolExecutor(options.concurrency, "handle")
        self._post = Post(queue, handling, self._hand, poll_seconds, options.visibility_seconds)
        self._turns = Turns()
        self._busy = self._quick = 0
        self._dry = self._drained = False
        self._chores_due = time.monotonic()
        self._paused_until = 0.0
        self._trouble_since: float | None = None
        self._began = time.monotonic()
        self._ends: BaseException | None = None
        self.tally = Tally()

    def run(self) -> Tally:
        """Work until told to stop, or until there is nothing left with `once`.

        Raises what stops a worker: refused credentials, a shared queue, a queue or database that is away
        for too long, or a signal. What was in hand is worked off or given back by then.
        """
        with self._hand, self._pool:
            try:
                while not self._is_over():
                    self._turn()
            finally:
                self._wind_down()
        ending = _SIGNALS.get(self._stop.why or "")
        self._ends = self._ends or self._post.trouble
        if self._ends is None and ending is not None:
            self._ends = ending("stopped; what was in hand is saved or back in the queue")
        if self._ends is not None:
            raise self._ends
        return self.tally

    def _is_over(self) -> bool:
        limit = self._options.max_runtime_seconds
        if limit is not None and time.monotonic() - self._began >= limit:
            self._stop.request("its time is over (--max-runtime)")
        most = self._options.max_messages
        self._ends = self._ends or self._post.trouble
        enough = most is not None and self.tally.received >= most and self._is_idle()
        return self._stop.is_set() or self._ends is not None or enough or self._drained

    def _is_idle(self) -> bool:
        return not self._busy and self._post.is_idle

    def _turn(self) -> None:
        self._ask()
        self._start_chores()
        self._post.run_events(_TURN_SECONDS)
        self._watch(self.tally, len(self._hand))

    def _ask(self) -> None:
        """Keep the polls going; never for more than can be begun at once, but while all goes quickly."""
        if self._waits():
            return
        quick = self._quick >= _QUICK_AFTER
        while self._post.polls < (_QUICK_POLLS if quick else 1):
            limit = _TOGETHER if quick else self._options.concurrency - self._busy
            if self._options.max_messages is not None:
                limit = min(limit, self._options.max_messages - self.tally.received - self._post.asked)
            if limit <= 0:
                return
            # What is in hand here keeps the rest of its group (FIFO) from a poll that began meanwhile.
            alone = not self._busy and self._post.is_quiet
            self._post.ask(limit, partial(self._polled, alone, limit), self._in_trouble)

    def _waits(self) -> bool:
        paused = time.monotonic() < self._paused_until
        return self._dry or (paused and self._busy > 0) if self._options.once else paused

    def _polled(self, alone: bool, asked: int, looked: Looked) -> None:
        self._arrived(looked)
        if looked.received == 0:
            self._quick = 0
            self._dry = alone and self._is_idle()
        elif self._options.once and looked.received < asked:
            # The last poll has to begin when all is done: where that is soon, none stands in its way.
            self._paused_until = time.monotonic() + _SOON_SECONDS

    def _arrived(self, looked: Looked) -> None:
        self._trouble_since = None
        self._dry = False
        self.tally.received += looked.received
        self._count_over(looked.over)
        if looked.received:
            self._quick = 0 if looked.tasks else self._quick + 1
        if self._stop.is_set() or self._ends is not None:
            self._post.give_back([task.delivery.received.receipt for task in looked.tasks], 0)
            return
        for task in looked.tasks:
            if self._turns.begin(task):
                self._busy += 1
                self._pool.submit(self._handle, task)

    def _count_over(self, count: int) -> None:
        self.tally.words["worked_off"] += count

    def _handle(self, task: Task) -> None:
        """On a thread of the pool."""
        receipt = task.delivery.received.receipt
        try:
            handled = self._handling.handle(task, self._hand.stop_of(receipt))
            if handled.delete:
                self._post.delete_now([receipt])
            else:
                self._post.give_back_now([receipt], handled.back_in_seconds)
        except BaseException as error:
            self._post.tell(partial(self._failed, task, error))
        else:
            self._post.tell(partial(self._handled, handled))

    def _handled(self, handled: Handled) -> None:
        self._busy -= 1
        self._dry = False
        self.tally.count(handled)
        self._ends = self._ends or handled.ends
        self._next_in_turn(handled.task, covered=handled.word == "run")

    def _failed(self, task: Task, error: BaseException) -> None:
        self._busy -= 1
        self._ends = self._ends or error
        self._next_in_turn(task, covered=False)

    def _next_in_turn(self, task: Task, *, covered: bool) -> None:
        """Look at what waited for this bulk change. A run that went to its end has settled it or queued its
        check: a message of others has nothing to add (they send one a device, which made one run each)."""
        waiting = self._turns.end(task)
        over = [each.delivery.received for each in waiting if covered and not each.delivery.ours]
        again = [each.delivery.received for each in waiting if not covered or each.delivery.ours]
        self._count_over(len(over))
        self._post.delete([message.receipt for message in over])
        if again:
            self._post.look_again(again, self._arrived, self._in_trouble)

    def _in_trouble(self, error: Exception) -> None:
        """Queue or database gave no answer: try again, but not for ever. Anything else is final."""
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        lasted = now - self._trouble_since
        passing = isinstance(error, UnavailableError) and not self._options.once
        if not passing or lasted >= self._options.patience_seconds:
            self._ends = self._ends or error
            return
        pause = min(_LONGEST_PAUSE, 1 + lasted / 2)
        self._paused_until = now + pause
        _log.warning("trying again", error=str(error), retry_in_seconds=round(pause, 1))

    def _start_chores(self) -> None:
        last = self._options.once and self._dry and self._is_idle()
        if self._post.chores_run or not (last or time.monotonic() >= self._chores_due):
            return
        self._chores_due = time.monotonic() + _CHORES_EVERY_SECONDS
        self._post.run_chores(partial(self._chores, self._dry), partial(self._chored, last), self._in_trouble)

    def _chored(self, last: bool, count: int) -> None:
        if count:
            self._dry = False
        elif last and self._dry:
            self._drained = True

    def _wind_down(self) -> None:
        """Begin nothing more; what runs is told to stop and ends in order, what came too late goes back."""
        if self._busy:
            self._stop.request("the worker ends")
        deadline = time.monotonic() + _WIND_DOWN_SECONDS
        while not self._is_idle() and time.monotonic() < deadline:
            self._post.run_events(_TURN_SECONDS)
            self._watch(self.tally, len(self._hand))
        self._post.close()
        if self._stop.why not in _SIGNALS:
            try:
                self._chores(False)
            except PondctlError as error:
                _log.warning("the outbox is kept", error=error.message)
