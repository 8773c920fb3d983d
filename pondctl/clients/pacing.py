"""How often a carrier may be called. `LocalPace` is for one process; another may share a table."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from pondctl.models import Stop

# Calls are spread a little wider than the rate allows: 40 ms of jitter on the way to the carrier
# then still fit into its second.
_SLACK = 1.04
_SLOWEST = 1 / 16
_REGAINED_PER_SECOND = 0.05
# Many calls in flight are throttled together; that is one event, not sixty-four.
_SAME_EVENT_SECONDS = 1.0


class Pace(Protocol):
    """Lets a call go when it may; shared by all threads."""

    def wait(self, prepare: Callable[[], None] = ...) -> None:
        """Return when one more call is allowed, or when the run is to stop.

        `prepare` is called before that moment, perhaps more than once: what would make the call late.
        """

    def throttled(self, retry_after: float | None) -> None:
        """The carrier said: too many."""


class LocalPace:
    """Even spacing, in the order of asking; never more than the rate in any sliding second.

    A rate that is no whole number is rounded down to one (2.5 a second would put three calls into
    some seconds); one below 1 spaces the calls by its inverse. When the carrier throttles, the rate
    is halved at once and regained by a twentieth a second.
    """

    def __init__(
        self,
        requests_per_second: float,
        stop: Stop,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        if not (math.isfinite(requests_per_second) and requests_per_second > 0):
            raise ValueError("requests_per_second must be above 0")
        burst = max(1, math.floor(requests_per_second))
        self._window = max(1.0, 1 / requests_per_second)
        self._interval = self._window / burst * _SLACK
        self._released: deque[float] = deque(maxlen=burst)
        self._stop = stop
        self._clock = clock
        self._sleep = sleep or stop.wait
        self._lock = threading.Lock()
        self._next_slot = -math.inf
        self._paused_until = -math.inf
        self._factor = 1.0
        self._event = 0
        self._factor_at = self._throttled_at = -math.inf

    def wait(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Return when one more call is allowed, or at once when the run is to stop."""
        prepare()
        event, delay = self._reserve()
        while not self._stop.is_set():
            if delay > 0:
                self._sleep(delay)
            if event != self._event:
                # Throttled meanwhile: slots given out before are void, or all would go at once.
                event, delay = self._reserve()
                continue
            delay = self._release()
            if delay <= 0:
                return

    def throttled(self, retry_after: float | None) -> None:
        """Hold all calls as long as the carrier asks, and halve the rate."""
        now = self._clock()
        with self._lock:
            self._paused_until = max(self._paused_until, now + (retry_after or 0.0))
            if now - self._throttled_at >= _SAME_EVENT_SECONDS:
                self._factor = max(_SLOWEST, self._regained(now) / 2)
                self._factor_at = now
                self._next_slot = now + self._interval / self._factor
                self._event += 1
            self._throttled_at = now

    def _regained(self, now: float) -> float:
        if self._factor >= 1:
            return 1.0
        since = max(self._factor_at, min(now, self._paused_until))
        return min(1.0, self._factor + _REGAINED_PER_SECOND * (now - since))

    def _reserve(self) -> tuple[int, float]:
        now = self._clock()
        with self._lock:
            slot = max(now, self._next_slot, self._paused_until)
            self._next_slot = slot + self._interval / self._regained(now)
            return self._event, slot - now

    def _release(self) -> float:
        """Zero when the call may go now; else how long it must still wait (threads wake late)."""
        now = self._clock()
        with self._lock:
            earliest = self._paused_until
            if len(self._released) == self._released.maxlen:
                earliest = max(earliest, self._released[0] + self._window)
            if now >= earliest:
                self._released.append(now)
                return 0.0
        return earliest - now
