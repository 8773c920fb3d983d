"""The sandbox's time: real time plus an offset that tests move, and effects that are due later."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch. Effects run when somebody next looks, in the order in which they fell due.

    Nobody can see a world between two looks, so no timer thread is needed and `advance` is exact.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._effects: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()

    @property
    def offset(self) -> float:
        """By how many seconds the sandbox is ahead of real time."""
        return self._offset

    def now(self) -> float:
        """Sandbox time."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move time forward without waiting for it."""
        self._offset += seconds

    def later(self, due: float, effect: Callable[[float], None]) -> None:
        """Run `effect(due)` once time has reached `due`."""
        heapq.heappush(self._effects, (due, next(self._order), effect))

    def run_due(self) -> float:
        """Let everything happen that should have happened by now, and return now."""
        now = self.now()
        while self._effects and self._effects[0][0] <= now:
            due, _, effect = heapq.heappop(self._effects)
            effect(due)
        return now
