"""How many devices were in which state at which time, out of the changes that were seen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor

from pondctl.db.observations import Observation


@dataclass(frozen=True, slots=True)
class Series:
    """For each name a count at each time; `times` are seconds since the start, ascending."""

    start: datetime
    times: Sequence[float]
    counts: Mapping[str, Sequence[int]]


class Timeline:
    """Collects changes device by device. Nothing of a single device is kept: only sums by second."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._changes: dict[str, Counter[int]] = {}

    def add(self, seen: Iterable[Observation]) -> None:
        """Count the changes of one device at one carrier, oldest first.

        What was seen before the start counts as its state at the start.
        """
        state: str | None = None
        for each in seen:
            if each.state != state:
                self.move(each.observed_at, state, each.state)
                state = each.state

    def move(self, at: datetime, old: str | None, new: str) -> None:
        """One device leaves `old`, if it was in any, and is in `new` from then on."""
        second = max(0, floor((at - self._start).total_seconds()))
        self._changes.setdefault(new, Counter())[second] += 1
        if old is not None:
            self._changes.setdefault(old, Counter())[second] -= 1

    def series(self, most_names: int, points: int, rest: str = "other") -> Series | None:
        """The sums at up to `points` times; the names with the most changes, and one for all others."""
        if not self._changes:
            return None
        last = max(second for changes in self._changes.values() for second in changes)
        step = max(1, -(-last // points))
        times = [float(second) for second in range(0, last + step, step)]
        counts: dict[str, list[int]] = {}
        ranked = sorted(self._changes, key=lambda name: -sum(abs(n) for n in self._changes[name].values()))
        kept = ranked if len(ranked) <= most_names else ranked[: most_names - 1]
        for name in ranked:
            sums = _running(self._changes[name], times)
            into = name if name in kept else rest
            before = counts.get(into)
            counts[into] = [a + b for a, b in zip(before, sums, strict=True)] if before else sums
        return Series(self._start, times, counts)


def _running(changes: Mapping[int, int], times: Sequence[float]) -> list[int]:
    """How many there are at each time."""
    pending = sorted(changes.items())
    sums, total, place = [], 0, 0
    for time in times:
        while place < len(pending) and pending[place][0] <= time:
            total += pending[place][1]
            place += 1
        sums.append(total)
    return sums
