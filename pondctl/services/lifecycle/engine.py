"""Drives the steps of many devices at once: calls in a bounded pool, the journal in the main thread.

Group commit: what is answered by now is committed in one transaction together with the intents of
what is sent next, and only then is that sent.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from pondctl.clients.pond import PondClient
from pondctl.db.step_records import NewWrite, StepKey
from pondctl.errors import Category, DeviceError
from pondctl.models import Outcome, Stop
from pondctl.services.lifecycle.brake import Brake, Care
from pondctl.services.lifecycle.calls import Answered, Calls
from pondctl.services.lifecycle.carrier_calls import Broken
from pondctl.services.lifecycle.claiming import Begun
from pondctl.services.lifecycle.in_work import InWork, Waiting, as_answer
from pondctl.services.lifecycle.instructions import Answer, Claimed, Ended, Read, Steps, Wait, Write
from pondctl.services.lifecycle.journal import Journal
from pondctl.services.lifecycle.request import Work
from pondctl.services.running.report import Report

# How long the main thread waits for an answer before it looks at clocks and at `stop` again.
_TURN_SECONDS: Final = 0.25
# Answers are gathered so long while the pool has other devices to go on with: fewer, larger commits.
_GATHER_SECONDS: Final = 0.04
# Without anything to commit the lease is looked at so often.
_LOOK_SECONDS: Final = 10.0
# Devices that wait for a settle time; beyond, nothing new is begun.
_MOST_WAITING: Final = 2000
_BUSY_PER_WORKER: Final = 3


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
        self._journal = journal
        self._begin = begin
        self._brake = brake
        self._report = report
        self._workers = workers
        self._stop = stop
        self._care = Care(_BUSY_PER_WORKER * workers)
        self._calls = Calls(
            pond, workers, is_halted=lambda: self._halted, lease_age=lambda: journal.lease_age
        )
        self._waiting = Waiting()
        self._turn = journal.new_turn()
        self._to_write: deque[tuple[InWork, Write]] = deque()
        self._to_send: list[tuple[InWork, Write, StepKey]] = []
        self._busy = 0
        self._fed = False
        self._failure: BaseException | None = None
        # Of what is committed.
        self.counts: Counter[Outcome] = Counter()

    def run(self, feed: Iterable[Work]) -> None:
        """Work until every device is decided, or the run is to stop; what is in flight is always saved.

        Raises what ended the run early: an error that concerns no single device.
        """
        works = iter(feed)
        try:
            while not self._is_over():
                self._take_answers()
                self._wake()
                self._intend()
                self._commit(self._next_works(works))
        except BaseException as error:
            self._failure = self._failure or error  # threads that have not begun their call must not
            raise
        finally:
            self._calls.close()
        if self._failure is not None:
            raise self._failure

    @property
    def _halted(self) -> bool:
        return self._stop.is_set() or self._failure is not None

    def _is_over(self) -> bool:
        under_way = self._calls.in_flight or self._waiting or self._to_write or not self._turn.is_empty
        # A run that brakes begins nothing new, but brings to its end what it has begun.
        return not under_way and (self._fed or self._halted or self._brake.reason is not None)

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
            answered = self._calls.next_answer(until - time.monotonic()) if self._calls.in_flight else None
            if answered is None:
                break
            until = min(until, time.monotonic() + self._slack())
            self._take(answered)
        if not self._calls.in_flight and self._turn.is_empty and self._waiting:
            self._stop.wait(min(_TURN_SECONDS, self._waiting.seconds(time.monotonic())))

    def _patience(self) -> float:
        nothing_else = self._turn.is_empty and (self._busy >= self._workers or self._fed or self._halted)
        if not nothing_else:
            return self._slack()
        due = self._waiting.seconds(time.monotonic()) if self._waiting else _TURN_SECONDS
        return min(_TURN_SECONDS, due)

    def _slack(self) -> float:
        """Worth gathering only while no thread would stand idle for it."""
        return _GATHER_SECONDS if self._calls.in_flight > self._workers else 0.0

    def _take(self, answered: Answered) -> None:
        device, answer = answered.device, answered.answer
        if isinstance(answered.instruction, Write) and answered.key is not None:
            device.write_answered(self._turn, answered.instruction, answered.key, answer)
            self._care.answered(lost=isinstance(answer, DeviceError) and answer.answer_lost)
        if isinstance(answer, Broken):
            self._failure = self._failure or answer.error
            self._give_up(device)
        elif isinstance(answer, DeviceError) and answer.category is Category.CANCELLED:
            self._give_up(device)
        else:
            self._go_on(device, as_answer(answered.key, answer))

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
            self._calls.submit(device, instruction)
        else:
            self._to_write.append((device, instruction))

    def _intend(self) -> None:
        """Journal the writes that may be sent now; they are sent once that is committed."""
        if self._halted:
            while self._to_write:
                self._give_up(self._to_write.popleft()[0])
        for _ in range(min(len(self._to_write), self._care.room(self._calls.writes_in_flight))):
            device, write = self._to_write.popleft()
            key = self._journal.next_key()
            self._turn.intents.append(NewWrite(key, write.kind, device.claim.subject, write.intent()))
            self._to_send.append((device, write, key))

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
        turn, to_send = self._turn, self._to_send
        begun = self._journal.commit(turn, works)
        self._turn, self._to_send = self._journal.new_turn(), []
        for device, write, key in to_send:
            if key in begun.barred:
                self._calls.refuse(device, write, key, begun.barred[key])
            else:
                self._calls.submit(device, write, key)
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
