"""One rate for all processes and hosts: slots in time, handed out by one row of the table `pace`."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.clock_difference import ClockDifference
from pondctl.db.database import Database
from pondctl.db.dialects import utcnow
from pondctl.db.unit import Unit
from pondctl.models import Stop

_MICRO: Final = 1_000_000
# Slots lie a little wider than the rate allows: 40 ms of jitter on the way then still fit into a second.
_SLACK: Final = 1.04
# A part of that is for waking late here; a thread that wakes later gives its slot up.
_LATE_SECONDS: Final = 0.015
# And for not sleeping so short a time: a thread that sleeps is late more often than not.
_EARLY_SECONDS: Final = 0.001
# Nobody reserves further ahead, so that a throttled carrier is heard by all within a second.
_HORIZON: Final = 1.0
# At once for all who wait: many calls cost few transactions.
_BLOCK_SECONDS: Final = 0.5
# Who has been alone for a second takes ahead, four times what was used of late: so much it may grow.
_ALONE_SECONDS: Final = 1.0
_AHEAD_SECONDS: Final = 0.2
_GROWTH: Final = 4.0
_FEW: Final = 8
_SHORTEST_SECONDS: Final = 0.02
# A process's first call is late, as so much is done for the first time: nothing may come close behind it.
_FIRST_CALL_SECONDS: Final = 0.1
_SLOWEST: Final = 1 / 16
_REGAINED_PER_SECOND: Final = 0.05
_SAME_EVENT: Final = 1.0
# Beyond horizon and block nothing is reserved; a second Retry-After may hold longer than the first one.
_NEVER_AHEAD_SECONDS: Final = 10.0
_HELD_LONGER_SECONDS: Final = 120.0
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class _Slots:
    """Times in database microseconds. No slots: come back when `free_at` is near."""

    now: int
    free_at: int
    slots: tuple[int, ...] = ()


class DatabasePace:
    """Lets calls go evenly over everyone who uses the same `name`; safe to share between threads.

    A rate that is no whole number is rounded down to one, as in any sliding second there can only be
    a whole number of calls; a rate below 1 spaces the calls by its inverse. When the carrier throttles,
    the rate is halved for all and regained by a twentieth a second.
    """

    def __init__(self, database: Database, name: str, requests_per_second: float, stop: Stop) -> None:
        if not (math.isfinite(requests_per_second) and requests_per_second > 0):
            raise ValueError("requests_per_second must be above 0")
        self._database = database
        self._table = database.own_tables.pace
        self._name = name
        self._stop = stop
        burst = max(1, math.floor(requests_per_second))
        self._interval = max(1.0, 1 / requests_per_second) / burst * _SLACK
        self._counting = threading.Lock()
        self._reserving = threading.Lock()
        self._waiting = self._used = 0
        self._reserved_at = time.monotonic()
        self._slots: deque[float] = deque()
        self._most = 0
        self._version = -1
        self._alone_from = math.inf
        self._event = 0
        self._clock = ClockDifference()

    def wait(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Return when one more call is allowed, or at once when the run is to stop."""
        granted = False
        with self._counting:
            self._waiting += 1
        try:
            while not self._stop.is_set():
                event, slot = self._event, self._take()
                if slot is None:
                    return
                # Not sooner: sixty-four threads that wait for a slow rate need few connections.
                prepare()
                ahead = slot - time.monotonic()
                if ahead > _EARLY_SECONDS:
                    self._stop.wait(ahead)
                # Throttled meanwhile: slots given out before are void.
                if event == self._event and time.monotonic() - slot <= _LATE_SECONDS:
                    granted = True
                    return
        finally:
            with self._counting:
                self._waiting -= 1
                self._used += granted

    def throttled(self, retry_after: float | None) -> None:
        """Hold all calls as long as the carrier asks, and halve the rate."""
        with self._reserving:
            self._event += 1
            self._slots.clear()
            self._database.write(lambda unit: self._slow_down(unit, retry_after or 0.0))

    def _take(self) -> float | None:
        """The next slot of this process, by its own monotonic clock; None when the run is to stop."""
        while not self._stop.is_set():
            if self._runs_low() and self._reserving.acquire(blocking=False):
                # One thread fetches more while the others go on with what is there.
                try:
                    self._refill()
                finally:
                    self._reserving.release()
            slot = self._first_in_time()
            if slot is not None:
                return slot
            with self._reserving:
                if not self._slots:
                    self._refill()
        return None

    def _first_in_time(self) -> float | None:
        """The next slot that is not over, if there is one."""
        oldest = time.monotonic() - _LATE_SECONDS
        with suppress(IndexError):
            while (slot := self._slots.popleft()) < oldest:
                pass
            return slot
        return None

    def _runs_low(self) -> bool:
        """Whether calls are made faster than slots come due, and few slots are left."""
        left = len(self._slots)
        with suppress(IndexError):
            return left <= self._most / 3 and self._slots[0] <= time.monotonic()
        return False

    def _refill(self) -> None:
        waiting, of_late = self._demand()
        reserved = self._database.write(lambda unit: self._reserve(unit, waiting, of_late))
        self._clock.learn(reserved.now / _MICRO, time.monotonic())
        self._most = len(reserved.slots)
        self._slots.extend(self._clock.local(slot / _MICRO) for slot in reserved.slots)
        if not self._slots:
            ahead = (reserved.free_at - reserved.now) / _MICRO - _HORIZON
            self._stop.wait(min(max(ahead, self._interval / 2), 0.5))

    def _demand(self) -> tuple[int, float]:
        """How many threads wait, and how many calls a second were made of late."""
        now = time.monotonic()
        of_late = self._used / max(now - self._reserved_at, _SHORTEST_SECONDS)
        self._used, self._reserved_at = 0, now
        return self._waiting, of_late

    def _reserve(self, unit: Unit, waiting: int, of_late: float) -> _Slots:
        while True:
            row, now = self._row(unit)
            first = max(now, _believable(row, now))
            if first > now + _HORIZON * _MICRO:
                return _Slots(now, first)
            interval = self._interval / _factor(row, now)
            wanted = waiting
            if self._is_alone(row, now) and of_late * _AHEAD_SECONDS >= _FEW:
                # Spread, because slots that come all at once are over before they can be used.
                wanted = max(waiting, int(of_late * _AHEAD_SECONDS * _GROWTH))
                interval = max(interval, _AHEAD_SECONDS / wanted)
            wanted = min(wanted, max(1, int(_BLOCK_SECONDS / interval)))
            if self._version < 0:
                wanted, interval = 1, max(interval, _FIRST_CALL_SECONDS)
            slots = tuple(first + math.ceil(place * interval * _MICRO) for place in range(wanted + 1))
            if self._write(unit, row.version, next_slot=slots[-1]):
                self._version = row.version + 1
                return _Slots(now, slots[-1], slots[:-1])

    def _is_alone(self, row: Any, now: int) -> bool:
        """Whether nobody else took slots for a second: to others, what is taken ahead would be lost."""
        here = time.monotonic()
        if row.version != self._version:
            unused = row.next_slot <= now - _ALONE_SECONDS * _MICRO
            self._alone_from = here if unused else here + _ALONE_SECONDS
        return here >= self._alone_from

    def _slow_down(self, unit: Unit, retry_after: float) -> None:
        while True:
            row, now = self._row(unit)
            resume = now + round(max(retry_after, self._interval) * _MICRO)
            changes: dict[str, Any] = {"next_slot": max(row.next_slot, resume)}
            if now >= row.throttled_at + _SAME_EVENT * _MICRO:
                # Many calls in flight are throttled together; that is one event, not sixty-four.
                changes["factor"] = max(_SLOWEST, _factor(row, now) / 2)
                changes["throttled_at"] = resume
            if self._write(unit, row.version, **changes):
                return

    def _row(self, unit: Unit) -> tuple[Any, int]:
        t = self._table.c
        query = sa.select(*t, utcnow().label("now")).where(t.name == self._name)
        row = unit.state.execute(query).one_or_none()
        if row is None:
            new = {"name": self._name, "next_slot": 0, "throttled_at": 0, "factor": 1.0, "version": 0}
            unit.state.execute(sa.insert(self._table).inline().values(new))
            row = unit.state.execute(query).one()
        since = row.now - _EPOCH
        return row, (since.days * 86400 + since.seconds) * _MICRO + since.microseconds

    def _write(self, unit: Unit, version: int, **values: Any) -> bool:
        t = self._table.c
        update = sa.update(self._table).where(t.name == self._name, t.version == version)
        return unit.state.execute(update.values(**values, version=version + 1)).rowcount == 1


def _believable(row: Any, now: int) -> int:
    """The next slot. One that lies far ahead, and that no throttling has put there, is from before the
    database's clock was set back: waiting for it could take as long as the clock was wrong.
    """
    ahead = row.next_slot > now + _NEVER_AHEAD_SECONDS * _MICRO
    throttled = row.next_slot <= row.throttled_at + _HELD_LONGER_SECONDS * _MICRO
    return now if ahead and not throttled else int(row.next_slot)


def _factor(row: Any, now: int) -> float:
    regained = _REGAINED_PER_SECOND * max(0.0, (now - row.throttled_at) / _MICRO)
    return float(min(1.0, row.factor + regained))
