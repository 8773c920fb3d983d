from __future__ import annotations

import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.clients.pacing import LocalPace
from pondctl.models import Stop
from tests.clients.doubles import VirtualClock


def paced(rate: float, clock: VirtualClock) -> LocalPace:
    return LocalPace(rate, Stop(), clock=clock, sleep=clock.sleep)


def times(pace: LocalPace, clock: VirtualClock, count: int) -> list[float]:
    found = []
    for _ in range(count):
        pace.wait()
        found.append(clock.now)
    return found


def most_in(window: float, moments: list[float]) -> int:
    return max(sum(start <= moment < start + window for moment in moments) for start in moments)


@given(st.floats(0.05, 200), st.lists(st.floats(0, 2), max_size=60))
@settings(deadline=None, max_examples=60)
def test_no_sliding_second_ever_holds_more_calls_than_the_rate(rate: float, idle: list[float]) -> None:
    clock = VirtualClock()
    pace = paced(rate, clock)
    moments = []
    for seconds in idle + [0.0] * 60:
        clock.now += seconds
        pace.wait()
        moments.append(clock.now)

    assert most_in(max(1.0, 1 / rate), moments) <= max(1, int(rate))


@pytest.mark.parametrize("rate", [20, 50, 400])
def test_at_least_95_percent_of_the_rate_is_used(rate: int) -> None:
    clock = VirtualClock()

    moments = times(paced(rate, clock), clock, 10 * rate)

    assert len(moments) / (moments[-1] - moments[0]) >= 0.95 * rate


def test_half_a_call_a_second_is_one_call_in_two_seconds() -> None:
    clock = VirtualClock()

    moments = times(paced(0.5, clock), clock, 5)

    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(moments))


def test_all_calls_hold_as_long_as_the_carrier_asks() -> None:
    clock = VirtualClock()
    pace = paced(20, clock)
    times(pace, clock, 5)

    throttled_at = clock.now
    pace.throttled(30)

    assert times(pace, clock, 1)[0] >= throttled_at + 30


def test_throttling_halves_the_rate_and_twenty_quiet_seconds_give_it_back() -> None:
    clock = VirtualClock()
    pace = paced(20, clock)
    times(pace, clock, 20)

    pace.throttled(None)
    slowed = times(pace, clock, 10)
    clock.now += 20
    regained = times(pace, clock, 40)

    assert 9 / (slowed[-1] - slowed[0]) == pytest.approx(10, rel=0.15)
    assert 39 / (regained[-1] - regained[0]) >= 19


def test_sixty_four_calls_throttled_together_slow_down_once() -> None:
    clock = VirtualClock()
    pace = paced(20, clock)
    for _ in range(64):
        pace.throttled(None)

    slowed = times(pace, clock, 10)

    assert 9 / (slowed[-1] - slowed[0]) >= 9


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        LocalPace(0, Stop())


def test_a_stop_wakes_everybody_who_waits() -> None:
    stop = Stop()
    pace = LocalPace(0.01, stop)
    pace.wait()
    waiting = [threading.Thread(target=pace.wait) for _ in range(4)]
    for thread in waiting:
        thread.start()

    began = time.monotonic()
    stop.request("sigterm")
    for thread in waiting:
        thread.join(5)

    assert time.monotonic() - began < 1


def test_sixteen_threads_share_one_rate_in_real_time() -> None:
    rate, count = 100, 200
    pace, moments, lock = LocalPace(rate, Stop()), [], threading.Lock()

    def work() -> None:
        while True:
            pace.wait()
            with lock:
                if len(moments) >= count:
                    return
                moments.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert most_in(0.95, moments) <= rate
    assert (count - 1) / (moments[-1] - moments[0]) >= 0.8 * rate
