"""Lets a large run begin with a few devices, slows one whose answers get lost, stops one that goes wrong."""

from __future__ import annotations

from typing import Final

from pondctl.models import DeviceOutcome, Outcome

CANARY_FROM: Final = 100
CANARY_SIZE: Final = 10
# Past the canary a share is taken of at least so many: one failure among the first twenty proves nothing.
_SAMPLE: Final = 100
# A run that needs no canary is small: it goes on until most of what it begins goes wrong.
_MOST_OF_A_FEW: Final = 0.5
_FEW: Final = 3
_BAD: Final = (Outcome.FAILED, Outcome.UNKNOWN)


class Brake:
    """Counts what is begun and decided. More than 100 devices: ten go first, and alone."""

    def __init__(self, total: int, max_error_rate: float) -> None:
        self._canary = total > CANARY_FROM
        self._most = max_error_rate if self._canary else max(max_error_rate, _MOST_OF_A_FEW)
        self._begun = self._decided = self._bad = 0

    def room(self) -> int | None:
        """How many more may be begun now; None: any number."""
        if self.reason is not None:
            return 0
        if not self._canary or self._decided >= CANARY_SIZE:
            return None
        return CANARY_SIZE - self._begun

    def begun(self, count: int) -> None:
        """So many devices were begun."""
        self._begun += count

    def decided(self, outcome: DeviceOutcome) -> None:
        """One device is decided."""
        self._decided += 1
        self._bad += outcome.outcome in _BAD

    @property
    def reason(self) -> str | None:
        """Why nothing new may be begun; None while all is well. Ten devices must be decided first."""
        if self._decided < CANARY_SIZE or self._bad <= self._most * self._counted:
            return None
        return (
            f"{self._bad} of {self._decided} devices are failed or unknown; "
            f"limits.max_error_rate stops a run{self._scale} above {self._most:.0%}"
        )

    @property
    def _scale(self) -> str:
        return "" if self._canary else f" of up to {CANARY_FROM} devices"

    @property
    def _counted(self) -> int:
        past_canary = self._canary and self._decided > CANARY_SIZE
        return max(self._decided, _SAMPLE) if past_canary else self._decided


class Care:
    """How many writes may be under way at once: few at first, one more with each answer, half with each lost.

    Few lost answers at a time are read back at once; many would look like an outage and wait in a row.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(min(_FEW, most))

    def room(self, under_way: int) -> int:
        """How many more may be sent now."""
        return max(0, int(self._allowed) - under_way)

    def answered(self, *, lost: bool) -> None:
        """A write has its answer, or has lost it."""
        if lost:
            self._allowed = max(min(_FEW, self._most), self._allowed / 2)
        else:
            self._allowed = min(self._most, self._allowed + 1)
