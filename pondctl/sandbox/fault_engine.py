"""Decides which faults hit a call. Counting and chance are seeded, so a run can be repeated exactly."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pondctl.sandbox.faults import Fault, FaultKind, parse_fault
from pondctl.sandbox.wire import Call


@dataclass(slots=True)
class ArmedFault:
    """A fault with what became of it so far; `fired` tells a test whether it was really met."""

    fault: Fault
    matched: int = 0
    fired: int = 0
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.fault.seed)

    def hits(self, call: Call) -> bool:
        """Whether this call is one that goes wrong."""
        fault = self.fault
        if not fnmatchcase(call.endpoint, fault.endpoint) or not _contains(call, fault.contains):
            return False
        self.matched += 1
        place = self.matched - fault.after
        spent = fault.count is not None and self.fired >= fault.count
        if spent or place < 1 or place % fault.every or self._chance.random() >= fault.probability:
            return False
        self.fired += 1
        return True


def _contains(call: Call, text: str) -> bool:
    return not text or text in call.path or text.encode() in call.body


class FaultEngine:
    """The armed faults of one sandbox. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[ArmedFault] = []

    def add(self, fault: Fault | str) -> ArmedFault:
        """Arm a fault, given as a record or as the text that the command line takes."""
        armed = ArmedFault(parse_fault(fault) if isinstance(fault, str) else fault)
        with self._lock:
            self._armed.append(armed)
        return armed

    def remove(self, armed: ArmedFault) -> None:
        """Disarm one fault; it is no error if it is gone already."""
        with self._lock:
            self._armed = [other for other in self._armed if other is not armed]

    def clear(self) -> None:
        """Disarm all faults."""
        with self._lock:
            self._armed = []

    def armed(self) -> list[ArmedFault]:
        """All faults that are armed, also those that are spent."""
        with self._lock:
            return list(self._armed)

    def fire(self, call: Call) -> dict[FaultKind, Fault]:
        """The faults that hit this call; of two of a kind the one armed first."""
        if not self._armed:
            return {}
        with self._lock:
            hits = [armed.fault for armed in self._armed if armed.hits(call)]
        return {fault.kind: fault for fault in reversed(hits)}
