"""One device while its steps are driven, and the devices that wait for a time to come."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator

from pondctl.clients.pond_models import Package
from pondctl.db.step_records import NewClaim, StepKey, StepState, WriteEnd
from pondctl.errors import Category, DeviceError
from pondctl.models import Carrier, DeviceOutcome, Outcome
from pondctl.services.lifecycle.carrier_calls import Broken, CallAnswer, state_of
from pondctl.services.lifecycle.instructions import (
    Answer,
    Claimed,
    Ended,
    Plan,
    Read,
    Settle,
    Steps,
    Wait,
    Write,
    Written,
)
from pondctl.services.lifecycle.request import Work
from pondctl.services.lifecycle.turn import Turn
from pondctl.telemetry import metrics


class InWork:
    """A claimed device."""

    def __init__(self, work: Work, claim: NewClaim, known: Claimed, steps: Steps[Ended]) -> None:
        self.work = work
        self.claim = claim
        self._steps = steps
        self._began = time.monotonic()
        self._unresolved = {write.key for write in known.unresolved}

    @property
    def is_in_doubt(self) -> bool:
        """Whether a write may have taken effect that nobody has seen yet."""
        return bool(self._unresolved)

    def advance(self, turn: Turn, answer: Answer) -> Ended | Read | Write | Wait:
        """Hand the steps their answer; returns what they want next, or how they ended."""
        try:
            instruction = self._steps.send(answer)
            while isinstance(instruction, Settle | Plan):
                if isinstance(instruction, Settle):
                    self._settle(turn, instruction)
                instruction = self._steps.send(None)
        except StopIteration as end:
            ended: Ended = end.value
            seconds = time.monotonic() - self._began
            metrics.observe("pondctl_device_seconds", seconds, carrier=Carrier.POND)
            return ended
        return instruction

    def write_answered(
        self, turn: Turn, write: Write, key: StepKey, answer: CallAnswer | DeviceError | Broken
    ) -> None:
        """Journal what became of a write."""
        state = state_of(answer)
        if state is StepState.UNKNOWN:
            self._unresolved.add(key)
        turn.write_ended(self.claim.subject, write, _end(key, state, answer))

    def give_up(self, turn: Turn) -> None:
        """The run stops: leave the device as it is. What may have taken effect is said to be unknown."""
        self._steps.close()
        if not self._unresolved:
            turn.released(self.claim)
            return
        steps = ", ".join(sorted(map(str, self._unresolved)))
        outcome = DeviceOutcome(
            self.work.iccid,
            Outcome.UNKNOWN,
            category=Category.CANCELLED,
            detail=f"the run stopped before the lost answer could be read back (step {steps})",
        )
        turn.device_ended(self.claim, Ended(outcome), self.work.device_change_ids)

    def _settle(self, turn: Turn, settle: Settle) -> None:
        self._unresolved.discard(settle.key)
        answer = {"package_id": settle.package_id} if settle.package_id else None
        turn.write_ended(self.claim.subject, None, WriteEnd(settle.key, settle.state, answer, settle.detail))


class Waiting:
    """Devices by the time at which they are looked at again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, InWork]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: float, device: InWork) -> None:
        """Let a device wait; `due` is on the monotonic clock."""
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, device))

    def seconds(self, now: float) -> float:
        """Until the next one is due."""
        return max(0.0, self._heap[0][0] - now) if self._heap else 0.0

    def due(self, now: float) -> Iterator[InWork]:
        """Take out those whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    def all(self) -> Iterator[InWork]:
        """Take out all of them."""
        while self._heap:
            yield heapq.heappop(self._heap)[2]


def as_answer(key: StepKey | None, answer: CallAnswer | DeviceError) -> Answer:
    """What the steps are told: of a write also which step it was."""
    if isinstance(answer, Package) or key is not None:
        if key is None or isinstance(answer, list) or not isinstance(answer, Package | DeviceError | None):
            raise AssertionError("a read has no step, and a write reads nothing")
        return Written(key, answer)
    return answer


def _end(key: StepKey, state: StepState, answer: CallAnswer | DeviceError | Broken) -> WriteEnd:
    match answer:
        case DeviceError():
            return WriteEnd(key, state, detail=answer.message, category=str(answer.category))
        case Broken(error=error):
            return WriteEnd(key, state, detail=getattr(error, "message", type(error).__name__))
        case Package():
            said = {"package_id": answer.package_id, "status": answer.carrier_status}
            return WriteEnd(key, state, said)
        case _:
            return WriteEnd(key, state)
