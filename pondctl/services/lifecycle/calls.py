"""Calls under way: two pools of threads, and the answers on their way back to the main thread."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from pondctl.clients.pond import PondClient
from pondctl.db.step_records import StepKey
from pondctl.errors import Category, DeviceError
from pondctl.services.lifecycle.carrier_calls import Broken, CallAnswer, not_sent, read, send
from pondctl.services.lifecycle.in_work import InWork
from pondctl.services.lifecycle.instructions import Read, Write
from pondctl.telemetry.log_context import in_log_context

# A write is not sent when the lease was seen so long ago: this process has slept, and another run may
# have taken over.
_FRESH_SECONDS: Final = 30.0
_READ_BACKS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that is over. Only writes have a key: the name of their step."""

    device: InWork
    instruction: Read | Write
    key: StepKey | None
    answer: CallAnswer | DeviceError | Broken


class Calls:
    """Submits from the main thread, calls in threads, hands the answers back to the main thread."""

    def __init__(
        self,
        pond: PondClient,
        workers: int,
        *,
        is_halted: Callable[[], bool],
        lease_age: Callable[[], float],
    ) -> None:
        self._pond = pond
        self._is_halted = is_halted
        self._lease_age = lease_age
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="pond")
        # What was lost is read back even while every other thread is held up by a suspected outage.
        self._read_backs = ThreadPoolExecutor(_READ_BACKS_AT_ONCE, thread_name_prefix="pond-read-back")
        self._answers: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self.in_flight = 0
        self.writes_in_flight = 0

    def submit(self, device: InWork, instruction: Read | Write, key: StepKey | None = None) -> None:
        """Make the call as soon as a thread is free. Of a write the intent is committed."""
        self.in_flight += 1
        self.writes_in_flight += key is not None
        pool = self._read_backs if device.is_in_doubt and key is None else self._pool
        pool.submit(in_log_context(self._call), device, instruction, key)

    def refuse(self, device: InWork, write: Write, key: StepKey, reason: str) -> None:
        """Make no call; the answer says why."""
        self.in_flight += 1
        self.writes_in_flight += 1
        error = DeviceError(reason, category=Category.GUARDED, temporary=False)
        self._answers.put(Answered(device, write, key, error))

    def next_answer(self, seconds: float) -> Answered | None:
        """The next answer; None when there is none for so long."""
        try:
            answered = self._answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        self.in_flight -= 1
        self.writes_in_flight -= answered.key is not None
        return answered

    def close(self) -> None:
        """Wait for the calls under way; those that have not begun see that the run is halted."""
        self._pool.shutdown()
        self._read_backs.shutdown()

    def _call(self, device: InWork, instruction: Read | Write, key: StepKey | None) -> None:
        answer: CallAnswer | DeviceError | Broken
        try:
            if self._is_halted():
                answer = not_sent("stopped before the call")
            elif isinstance(instruction, Read):
                answer = read(self._pond, device.work.iccid, instruction)
            else:
                answer = send(self._pond, device.work.iccid, instruction, self._check_lease)
        except DeviceError as error:
            answer = error
        except BaseException as error:
            answer = Broken(error)
        self._answers.put(Answered(device, instruction, key, answer))

    def _check_lease(self) -> None:
        if self._lease_age() > _FRESH_SECONDS:
            raise not_sent("not sent: the run has slept, or the database is slow", Category.DATABASE)
