"""What was asked of the sandbox: counters per endpoint, and the latest calls with their times."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pondctl.sandbox.wire import Call

_ICCID = re.compile(rb"(?<!\d)89\d{16,20}(?!\d)")
_KEPT = 200_000


def find_iccid(text: bytes) -> str | None:
    """The first thing in a path or body that looks like an ICCID."""
    found = _ICCID.search(text)
    return found.group().decode() if found else None


@dataclass(slots=True)
class CallRecord:
    """One call. `at` is the server's monotonic clock at arrival; no header is kept, so no secret is."""

    endpoint: str
    method: str
    path: str
    iccid: str | None
    at: float
    status: int | None = None  # None: still under way, or the connection was cut
    seconds: float | None = None


class CallLog(Mapping[str, int]):
    """Calls per endpoint, and the latest of them. Thread-safe.

    Patterns are shell patterns over endpoint names: `thingspace.*`, `pond.add_package`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._recent: deque[CallRecord] = deque(maxlen=_KEPT)
        self._under_way = 0
        self._most_at_once = 0

    def begin(self, call: Call) -> CallRecord:
        """A call has arrived."""
        iccid = find_iccid(call.path.encode()) or find_iccid(call.body[:4096])
        record = CallRecord(call.endpoint, call.method, call.path, iccid, time.monotonic())
        with self._lock:
            self._counts[call.endpoint] += 1
            self._recent.append(record)
            self._under_way += 1
            self._most_at_once = max(self._most_at_once, self._under_way)
        return record

    def end(self, record: CallRecord, status: int | None) -> None:
        """The call is over: answered with `status`, or cut (None)."""
        record.status = status
        record.seconds = time.monotonic() - record.at
        with self._lock:
            self._under_way -= 1

    def __getitem__(self, endpoint: str) -> int:
        """How many calls this endpoint had; none is 0, no KeyError."""
        return self.counts().get(endpoint, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self.counts())

    def __len__(self) -> int:
        return len(self.counts())

    @property
    def most_at_once(self) -> int:
        """The largest number of calls that were under way together."""
        return self._most_at_once

    def counts(self) -> dict[str, int]:
        """Calls per endpoint since the last `clear`."""
        with self._lock:
            return dict(self._counts)

    def count(self, pattern: str = "*") -> int:
        """How many calls went to endpoints of this pattern; also those that were refused or cut."""
        return sum(number for endpoint, number in self.counts().items() if fnmatchcase(endpoint, pattern))

    def recent(self, pattern: str = "*") -> list[CallRecord]:
        """The latest calls (at most 200,000 are kept), oldest first."""
        with self._lock:
            return [record for record in self._recent if fnmatchcase(record.endpoint, pattern)]

    def worst_second(self, pattern: str = "*") -> int:
        """The largest number of calls that arrived within any sliding second."""
        window: deque[float] = deque()
        worst = 0
        for record in self.recent(pattern):
            window.append(record.at)
            while record.at - window[0] >= 1.0:
                window.popleft()
            worst = max(worst, len(window))
        return worst

    def clear(self) -> None:
        """Forget all calls; those under way stay counted as under way."""
        with self._lock:
            self._counts.clear()
            self._recent.clear()
            self._most_at_once = self._under_way
