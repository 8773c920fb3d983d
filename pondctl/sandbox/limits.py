"""A carrier's own rate limit: so many calls in any sliding second, the rest is refused."""

from __future__ import annotations

import time
from collections import deque

_LOGIN = frozenset({"thingspace.token", "thingspace.revoke", "thingspace.login", "thingspace.logout"})


class RateLimits:
    """Requests a second per carrier. Token and session calls are free: gateways meter them apart."""

    def __init__(self, thingspace: float | None, pond: float | None) -> None:
        self.per_second: dict[str, float | None] = {"thingspace": thingspace, "pond": pond}
        self._admitted: dict[str, deque[float]] = {"thingspace": deque(), "pond": deque()}

    def admit(self, endpoint: str) -> bool:
        """Whether one more call may come in now; a refused one does not count against the rate."""
        carrier = endpoint.partition(".")[0]
        allowed = self.per_second.get(carrier)
        if allowed is None or endpoint in _LOGIN:
            return True
        now, window = time.monotonic(), self._admitted[carrier]
        while window and now - window[0] >= 1.0:
            window.popleft()
        if len(window) >= allowed:
            return False
        window.append(now)
        return True
