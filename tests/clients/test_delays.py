from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from pondctl.clients.delays import deferred_delay, hop_delay

NOW = datetime(2026, 11, 23, 12)


@pytest.mark.parametrize(
    ("stalled", "ceiling"), [(0, 60), (1, 120), (3, 480), (4, 900), (5, 900), (10**9, 900)]
)
def test_the_ceiling_doubles_up_to_what_sqs_can_delay(stalled: int, ceiling: int) -> None:
    rng = random.Random(1)
    draws = [deferred_delay(stalled, 60, rng) for _ in range(2000)]

    assert 0 <= min(draws) < ceiling * 0.02
    assert ceiling * 0.98 < max(draws) <= ceiling


def test_full_jitter_spreads_evenly_from_nothing_to_the_ceiling() -> None:
    rng = random.Random(2)
    draws = [deferred_delay(4, 60, rng) for _ in range(10_000)]

    tenths = [sum(low <= draw < low + 90 for draw in draws) for low in range(0, 900, 90)]
    assert all(900 < count < 1100 for count in tenths)


@pytest.mark.parametrize(
    ("seconds", "longest", "hop"),
    [
        (-5, 900, 0),
        (0, 900, 0),
        (0.2, 900, 1),
        (899.5, 900, 900),
        (901, 900, 900),
        (86_400, 900, 900),
        (86_400, None, 86_400),
        (600, 0, 0),
        (15 * 86_400, 900, 0),
    ],
)
def test_a_hop_is_the_time_left_as_far_as_the_queue_can_hold(
    seconds: float, longest: int | None, hop: int
) -> None:
    assert hop_delay(NOW + timedelta(seconds=seconds), NOW, longest) == hop


def test_a_message_without_a_time_is_due() -> None:
    assert hop_delay(None, NOW, 900) == 0


def test_a_delay_of_an_hour_reaches_sqs_in_four_hops_and_is_never_early() -> None:
    due, now, hops = NOW + timedelta(hours=1), NOW, []
    while seconds := hop_delay(due, now, 900):
        hops.append(seconds)
        now += timedelta(seconds=seconds)

    assert hops == [900] * 4
    assert now == due
