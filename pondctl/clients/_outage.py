"""Keeps an outage from being made worse: a retry budget, one probe at a time, and an end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from enum import Enum

from pondctl.clients._repeat import stopped
from pondctl.errors import CarrierUnavailableError
from pondctl.models import Stop

# Retries are a tenth of the calls; what is beyond goes one at a time, as a probe.
_RETRIES_PER_CALL = 0.1
_MOST_SAVED_RETRIES = 100.0
_SUSPECT_AFTER = 5
_LEAST_FAILURES = 3
_FIRST_PROBE_PAUSE = 0.25
_LONGEST_PROBE_PAUSE = 10.0
# Waiting threads look again this often; `Stop` wakes them at once.
_LOOK_SECONDS = 0.05
# So long after the end of a run's patience the next run may try afresh (a worker lives on).
_FRESH_AFTER_SECONDS = 10.0
# Longer than probes are apart.
_FORGOTTEN_AFTER_SECONDS = 30.0


class Turn(Enum):
    """How a call came through the gate."""

    CALL = "call"
    PROBE = "probe"


class Gate:
    """Every attempt at one carrier passes here, and says afterwards what became of it."""

    def __init__(
        self,
        carrier: str,
        outage_seconds: float,
        stop: Stop,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._carrier = carrier
        self._outage_seconds = outage_seconds
        self._longest_pause = min(_LONGEST_PROBE_PAUSE, outage_seconds / 6)
        self._stop = stop
        self._clock = clock
        self._sleep = sleep or stop.wait
        self._lock = threading.Lock()
        self._saved_retries = 0.0
        self._failures = self._failed_probes = 0
        self._bad_since: float | None = None
        self._last_bad = self._ends_at = 0.0
        self._probing = False
        self._next_probe = 0.0
        self._ended_at: float | None = None
        self._reason = ""
        self.probes = 0

    def enter(self, *, retry: bool) -> Turn:
        """Wait for a turn. While an outage is suspected only one call goes at a time, ever more rarely."""
        while not self._stop.is_set():
            with self._lock:
                self._end_if_over()
                turn = self._turn(retry)
            if turn is not None:
                return turn
            self._sleep(_LOOK_SECONDS)
        raise stopped()

    def still_open(self, turn: Turn) -> bool:
        """Whether a call that waited for its pace since `enter` may still go."""
        with self._lock:
            if turn is Turn.CALL and self._failures >= _SUSPECT_AFTER:
                return False
        return True

    def good(self, turn: Turn) -> None:
        """The carrier answered."""
        with self._lock:
            self._leave(turn)
            self._failures = self._failed_probes = 0
            self._bad_since = self._ended_at = None
            self._next_probe = 0.0

    def bad(self, turn: Turn, reason: str, began: float, retry_after: float | None = None) -> None:
        """No answer, or one that only says that the carrier is unwell."""
        with self._lock:
            self._leave(turn)
            now = self._clock()
            if self._bad_since is None:
                self._bad_since = began
                self._ends_at = began + max(self._outage_seconds, (retry_after or 0.0) + 5)
            self._failures += 1
            self._last_bad = now
            self._reason = reason
            if self._failures == _SUSPECT_AFTER or (self._failures > _SUSPECT_AFTER and turn is Turn.PROBE):
                longest = min(self._longest_pause, _FIRST_PROBE_PAUSE * 2.0**self._failed_probes)
                self._next_probe = now + longest * random.uniform(0.5, 1)
                self._failed_probes += 1

    def leave(self, turn: Turn) -> None:
        """Nothing was learnt about the carrier."""
        with self._lock:
            self._leave(turn)

    def seconds_left(self) -> float:
        """How long an attempt may take without outlasting the run's patience."""
        with self._lock:
            return float("inf") if self._bad_since is None else self._ends_at - self._clock()

    def _leave(self, turn: Turn) -> None:
        if turn is Turn.PROBE:
            self._probing = False

    def _turn(self, retry: bool) -> Turn | None:
        if self._failures < _SUSPECT_AFTER:
            if not retry:
                self._saved_retries = min(_MOST_SAVED_RETRIES, self._saved_retries + _RETRIES_PER_CALL)
                return Turn.CALL
            if self._saved_retries >= 1:
                self._saved_retries -= 1
                return Turn.CALL
        if self._probing or self._clock() < self._next_probe:
            return None
        self._probing = True
        self.probes += 1
        return Turn.PROBE

    def _end_if_over(self) -> None:
        now = self._clock()
        ended = self._ended_at is not None and now - self._ended_at > _FRESH_AFTER_SECONDS
        # A pause in which nobody asked is no evidence of an outage.
        if ended or (not self._probing and now - self._last_bad > _FORGOTTEN_AFTER_SECONDS):
            self._ended_at = self._bad_since = None
            self._failures = self._failed_probes = 0
        if self._bad_since is None or self._failures < _LEAST_FAILURES or now < self._ends_at:
            return
        self._ended_at = self._ended_at or now
        raise CarrierUnavailableError(
            f"{self._carrier} gave no good answer for {now - self._bad_since:.0f} seconds: {self._reason}",
            hint="Nothing is lost: run the same command again when the carrier is back.",
        )
