"""The database's clock, as this process's own monotonic one shows it."""

from __future__ import annotations

import math


class ClockDifference:
    """How far the database's clock is ahead of this process's monotonic one.

    An answer is on its way for a while, so each sample is too small; the largest is the nearest. It
    fades, because clocks drift, and is given up when the database's clock was set back.
    """

    def __init__(self) -> None:
        self._ahead = -math.inf
        self._learned_at = 0.0

    def learn(self, database_now: float, monotonic_now: float) -> None:
        """Take in what the database's clock said just before `monotonic_now`."""
        sample = database_now - monotonic_now
        faded = self._ahead - 0.0005 * (monotonic_now - self._learned_at)
        self._ahead = sample if sample < faded - 0.5 else max(sample, faded)
        self._learned_at = monotonic_now

    def local(self, database_time: float) -> float:
        """The monotonic time of a moment of the database's clock."""
        return database_time - self._ahead
