from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import Future, RetryCallState, Retrying

from pondctl.clients._repeat import RepeatableError, pause, retry_after
from pondctl.errors import Category

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def state_after(attempt: int, asked: float | None = None) -> RetryCallState:
    error = RepeatableError("made-up", category=Category.NETWORK, retry_after=asked)
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    state.outcome = Future.construct(attempt, error, has_exception=True)
    return state


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (9, 8.0)])
def test_waits_are_spread_evenly_over_the_whole_backoff(attempt: int, longest: float) -> None:
    count = 10_000
    draws = sorted(pause(state_after(attempt)) / longest for _ in range(count))

    # Kolmogorov-Smirnov against the uniform distribution; 1.95 is p = 0.001.
    distance = max(max((i + 1) / count - draw, draw - i / count) for i, draw in enumerate(draws))
    assert 0 <= draws[0] <= draws[-1] <= 1
    assert distance < 1.95 / math.sqrt(count)


def test_the_carriers_own_wish_counts_more_than_the_backoff() -> None:
    waits = [pause(state_after(3, asked=7.0)) for _ in range(200)]

    assert 7.0 <= min(waits) <= max(waits) <= 8.0


def test_retry_after_is_understood_as_seconds() -> None:
    assert retry_after(httpx.Headers({"Retry-After": " 120 "})) == 120


def test_retry_after_is_understood_as_a_date() -> None:
    headers = httpx.Headers({"Retry-After": format_datetime(NOON + timedelta(seconds=30), usegmt=True)})

    assert retry_after(headers, now=NOON.timestamp) == 30


def test_a_date_is_compared_with_the_carriers_clock_and_not_with_ours() -> None:
    ours = NOON + timedelta(minutes=10)
    headers = httpx.Headers(
        {
            "Date": format_datetime(NOON, usegmt=True),
            "Retry-After": format_datetime(NOON + timedelta(seconds=5), usegmt=True),
        }
    )

    assert retry_after(headers, now=ours.timestamp) == 5


def test_a_date_in_the_past_asks_for_no_wait() -> None:
    headers = httpx.Headers({"Retry-After": format_datetime(NOON - timedelta(days=1), usegmt=True)})

    assert retry_after(headers, now=NOON.timestamp) == 0


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60))
def test_any_other_retry_after_is_no_wish_and_no_crash(text: str) -> None:
    asked = retry_after(httpx.Headers([(b"retry-after", text.encode("latin-1"))]), now=NOON.timestamp)

    assert asked is None or 0 <= asked < math.inf
