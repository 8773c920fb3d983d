"""What may be repeated, when, and how long to wait before it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, wait_random_exponential

from pondctl.errors import Category, DeviceError

MAX_ATTEMPTS = 4
# Waits before attempt 2, 3, 4: anything between nothing and 0.5, 1, 2 s (full jitter).
_backoff = wait_random_exponential(multiplier=0.5, max=8)
# Spreads callers that were all told the same moment.
_SPREAD_SECONDS = 0.5


class RepeatableError(DeviceError):
    """This attempt failed in a way that another attempt may mend; stays inside `clients`' retry layer.

    `attempts` is how many attempts in all are worth it. `unreached` tells that the carrier provably
    did not carry the request out. `counts` is false where the carrier is evidently well.
    """

    def __init__(
        self,
        message: str,
        *,
        category: Category,
        temporary: bool = True,
        attempts: int = MAX_ATTEMPTS,
        retry_after: float | None = None,
        unreached: bool = False,
        counts: bool = True,
    ) -> None:
        super().__init__(message, category=category, temporary=temporary)
        self.attempts = attempts
        self.retry_after = retry_after
        self.unreached = unreached
        self.counts = counts


def stopped() -> DeviceError:
    """The error for a call that is not begun, or not repeated, because the run is to stop."""
    return DeviceError("stopped before the call", category=Category.CANCELLED, temporary=True)


def pause(state: RetryCallState) -> float:
    """Full jitter; where the carrier said how long to wait, that long and a little more."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RepeatableError) and error.retry_after is not None:
        return error.retry_after + random.uniform(0, _SPREAD_SECONDS)
    return _backoff(state)


def retry_after(headers: httpx.Headers, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that `Retry-After` asks for, in either of its forms; None where it says nothing.

    A date is compared with the answer's own `Date`, so that the carrier's clock may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    until = _moment(text)
    if until is None:
        return None
    sent = _moment(headers.get("date", ""))
    return max(0.0, until - (now() if sent is None else sent))


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None
