"""A permission of the pace, on its way from who asked for it to who uses it."""

from __future__ import annotations

from collections.abc import Callable

# The rate leaves 40 ms between a call's turn and its arrival; to wake up for the turn may take 15.
_TURN_SECONDS = 0.02


class Turn:
    """The pace's permission that a caller came with; every further request of the flow needs its own.

    So does one that waited for somebody else's login, or it would go together with another's.
    """

    def __init__(self, wait_turn: Callable[[], None], clock: Callable[[], float]) -> None:
        self._wait_turn = wait_turn
        self._clock = clock
        self._holds_until = clock() + _TURN_SECONDS

    def take(self) -> None:
        """Use it up; waits for another one where it is used up, or too old."""
        if self._clock() > self._holds_until:
            self._wait_turn()
        self._holds_until = float("-inf")
