"""Drives the steps of many devices at once: calls in a bounded pool, the journal in the main thread.

Group commit: what is answered by now is committed in one transaction together with the intents of
what is sent next, and only then is that sent.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from pondctl.clients.pond import PondClient
from pondctl.db.step_records import NewWrite, StepKey
from pondctl.errors import Category, DeviceError
from pondctl.models import Outcome, Stop
from pondctl.services._brake import Brake
from pondctl.services._carrier_calls import Broken, CallAnswer, call, not_sent
from pondctl.services._claiming import Begun
from pondctl.services._in_work import InWork, Waiting, as_answer
from pondctl.services._instructions import Answer, Claimed, Ended, Read, Steps, Wait, Write
from pondctl.services._journal import Journal
from pondctl.services._life_request import Work
from pondctl.services._report import Report

# How long the main thread waits for an answer before it looks at clocks and at `stop` again.
_TURN_SECONDS: Final = 0.25
# Answers are gathered so long while the pool has other devices to go on with: fewer, larger commits.
_GATHER_SECONDS: Final = 0.02
# Without anything to commit the lease is looked at so often; a write is not sent when that is long ago:
# this process has slept, and another run may have taken over.
_LOOK_SECONDS: Final = 10.0
_FRESH_SECONDS: Final = 30.0
# Devices that wait for a settle time; beyond, nothing new is begun.
_MOST_WAITING: Final = 2000
_BUSY_PER_WORKER: Final = 2

_Answered = tuple[InWork, Read | Write, StepKey | None, CallAnswer | DeviceError | Broken]


class Engine:
    """Works through a feed of devices once."""

    def __init__(
        self,
        pond: PondClient,
        journal: Journal,
        begin: Callable[[Work, Claimed], Steps[Ended]],
        brake: Brake,
        report: Report,
        *,
        workers: int,
        stop: Stop,
    ) -> None:
        self._pond = pond
        self._journal = journal
        self._begin = begin
        self._brake = brake
        self._report = report
        self._workers = workers
        self._stop = stop
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="pond")
        # What was lost is read back even while every other thread is held up by a suspected outage.
        self._read_back_pool = ThreadPoolExecutor(workers, thread_name_prefix="pond-read-back")
        self._answers: queue.SimpleQueue[_Answered] = queue.SimpleQueue()
        self._waiting = Waiting()
        self._turn = journal.new_turn()
        self._to_write: list[tuple[InWork, Write, StepKey]] = []
        self._busy = self._in_flight = 0
        self._fed = False
        self._failure: BaseException | None = None
        # Of what is committed.
        self.counts: Counter[Outcome] = Counter()

    def run(self, feed: Iterable[Work]) -> None:
        """Work until every device is decided, or the run is to stop; what is in flight is always saved.

        Raises what ended the run early: an error that concerns no single device.
        """
        works = iter(feed)
        with self._pool, self._read_back_pool:
            try:
                while not self._is_over():
                    self._take_answers()
                    self._wake()
                    self._commit(self._next_works(works))
            except BaseException as error:
                self._failure = self._failure or error  # threads that have not begun their call must not
                raise
        if self._failure is not None:
            raise self._failure

    @property
    def _halted(self) -> bool:
        return self._stop.is_set() or self._failure is not None

    def _is_over(self) -> bool:
        idle = not self._in_flight and not self._waiting and self._turn.is_empty
        # A run that brakes begins nothing new, but brings to its end what it has begun.
        return idle and (self._fed or self._halted or self._brake.reason is not None)

    def _next_works(self, works: Iterator[Work]) -> list[Work]:
        """As many as there is room for; not one by one, as each claim costs statements."""
        room = min(self._workers, _BUSY_PER_WORKER * self._workers - self._busy)
        if self._busy > self._workers and room < self._workers // 2:
            return []
        allowed = self._brake.room()
        room = room if allowed is None else min(room, allowed)
        if self._halted or self._fed or len(self._waiting) >= _MOST_WAITING or room <= 0:
            return []
        found = list(islice(works, room))
        self._fed = len(found) < room
        self._brake.begun(len(found))
        return found

    def _take_answers(self) -> None:
        """Go on with the devices whose call is answered; waits where there is nothing else to do."""
        until = time.monotonic() + self._patience()
        for _ in range(self._workers):
            if not self._in_flight:
                break
            try:
                answered = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            self._in_flight -= 1
            until = min(until, time.monotonic() + self._slack())
            self._take(answered)
        if not self._in_flight and self._turn.is_empty and self._waiting:
            self._stop.wait(min(_TURN_SECONDS, self._waiting.seconds(time.monotonic())))

    def _patience(self) -> float:
        nothing_else = self._turn.is_empty and (self._busy >= self._workers or self._fed or self._halted)
        return min(_TURN_SECONDS, self._next_due()) if nothing_else else self._slack()

    def _slack(self) -> float:
        """Worth gathering only while no thread would stand idle for it."""
        return _GATHER_SECONDS if self._in_flight > self._workers else 0.0

    def _next_due(self) -> float:
        return self._waiting.seconds(time.monotonic()) if self._waiting else _TURN_SECONDS

    def _take(self, answered: _Answered) -> None:
        device, instruction, key, answer = answered
        if isinstance(instruction, Write) and key is not None:
            device.write_answered(self._turn, instruction, key, answer)
        if isinstance(answer, Broken):
            self._failure = self._failure or answer.error
            self._give_up(device)
        elif isinstance(answer, DeviceError) and answer.category is Category.CANCELLED:
            self._give_up(device)
        else:
            self._go_on(device, as_answer(key, answer))

    def _go_on(self, device: InWork, answer: Answer) -> None:
        instruction = device.advance(self._turn, answer)
        if isinstance(instruction, Ended):
            self._busy -= 1
            self._brake.decided(instruction.outcome)
            self._turn.device_ended(device.claim, instruction, device.work.device_change_ids)
        elif self._halted:
            self._give_up(device)
        elif isinstance(instruction, Wait):
            self._busy -= 1
            self._waiting.add(time.monotonic() + instruction.seconds, device)
        elif isinstance(instruction, Read):
            self._submit(device, instruction, None)
        else:
            key = self._journal.next_key()
            intent = NewWrite(key, instruction.kind, device.claim.subject, instruction.intent())
            self._turn.intents.append(intent)
            self._to_write.append((device, instruction, key))

    def _give_up(self, device: InWork) -> None:
        self._busy -= 1
        device.give_up(self._turn)

    def _wake(self) -> None:
        devices = self._waiting.all() if self._halted else self._waiting.due(time.monotonic())
        for device in devices:
            self._busy += 1
            if self._halted:
                self._give_up(device)
            else:
                self._go_on(device, None)

    def _commit(self, works: list[Work]) -> None:
        """One transaction for all that was gathered; then send what it allows, and say what is decided."""
        if self._turn.is_empty and not works and self._journal.lease_age < _LOOK_SECONDS:
            return
        turn, to_write = self._turn, self._to_write
        begun = self._journal.commit(turn, works)
        self._turn, self._to_write = self._journal.new_turn(), []
        for device, write, key in to_write:
            self._submit(device, write, key)
        self._start(begun)
        self.counts.update(outcome.outcome for outcome in turn.outcomes)
        if turn.outcomes:
            self._report.devices(turn.outcomes)

    def _start(self, begun: Begun) -> None:
        for work, claim, known in begun.claimed:
            self._busy += 1
            self._go_on(InWork(work, claim, known, self._begin(work, known)), None)
        for work, claim, outcome in begun.refused:
            self._brake.decided(outcome)
            self._turn.device_ended(claim, Ended(outcome), work.device_change_ids, held=False)

    def _submit(self, device: InWork, instruction: Read | Write, key: StepKey | None) -> None:
        self._in_flight += 1
        pool = self._read_back_pool if device.is_in_doubt and key is None else self._pool
        pool.submit(self._call, device, instruction, key)

    def _call(self, device: InWork, instruction: Read | Write, key: StepKey | None) -> None:
        answer: CallAnswer | DeviceError | Broken
        try:
            if self._halted:
                answer = not_sent("stopped before the call")
            elif key is not None and self._journal.lease_age > _FRESH_SECONDS:
                answer = not_sent("not sent: the run has slept, or the database is slow", Category.DATABASE)
            else:
                answer = call(self._pond, device.work.iccid, instruction)
        except DeviceError as error:
            answer = error
        except BaseException as error:
            answer = Broken(error)
        self._answers.put((device, instruction, key, answer))
