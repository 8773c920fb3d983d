"""The canary, and the stop of a run that goes wrong."""

from __future__ import annotations

import pytest

from pondctl.models import DeviceOutcome, Outcome
from pondctl.services.lifecycle.brake import Brake, Care


def decide(brake: Brake, **counts: int) -> None:
    for word, count in counts.items():
        for _ in range(count):
            brake.decided(DeviceOutcome("x", Outcome(word)))


def test_a_hundred_devices_need_no_canary() -> None:
    assert Brake(100, 0.05).room() is None


def test_of_more_than_a_hundred_ten_go_first_and_alone() -> None:
    brake = Brake(101, 0.05)

    assert brake.room() == 10
    brake.begun(10)
    assert brake.room() == 0
    decide(brake, done=9)
    assert brake.room() == 0
    decide(brake, done=1)
    assert brake.room() is None


def test_failed_and_unknown_ones_stop_the_run_and_it_says_how_many() -> None:
    brake = Brake(1000, 0.05)
    decide(brake, done=8, failed=1, unknown=1)

    assert brake.room() == 0
    assert brake.reason is not None
    assert "2 of 10" in brake.reason
    assert "5%" in brake.reason


def test_fewer_than_ten_decided_prove_nothing() -> None:
    brake = Brake(1000, 0.05)
    decide(brake, failed=9)

    assert brake.reason is None


@pytest.mark.parametrize("good", [10, 14, 95])
def test_past_the_canary_five_failures_among_the_first_hundred_do_not_stop_it_but_six_do(good: int) -> None:
    brake = Brake(1000, 0.05)
    decide(brake, done=good, failed=5)
    assert brake.reason is None

    decide(brake, failed=1)
    assert brake.reason is not None


def test_one_failure_of_the_canary_is_more_than_five_in_a_hundred() -> None:
    brake = Brake(101, 0.05)
    decide(brake, done=9, failed=1)

    assert brake.reason is not None


def test_a_small_run_goes_on_until_most_of_it_goes_wrong() -> None:
    brake = Brake(100, 0.05)
    decide(brake, done=8, failed=8)
    assert brake.reason is None

    decide(brake, unknown=1)
    assert brake.reason is not None
    assert "9 of 17" in brake.reason


def test_skipped_and_deferred_ones_are_no_errors() -> None:
    brake = Brake(1000, 0.0)
    decide(brake, skipped=10, deferred=10)

    assert brake.reason is None


def test_writes_begin_few_at_a_time_and_become_more_with_each_answer() -> None:
    care = Care(64)

    assert care.room(0) == 3
    for _ in range(100):
        care.answered(lost=False)
    assert care.room(0) == 64
    assert care.room(60) == 4
    assert care.room(64) == 0


def test_lost_answers_make_them_few_again_but_never_none() -> None:
    care = Care(64)
    for _ in range(100):
        care.answered(lost=False)
    care.answered(lost=True)
    assert care.room(0) == 32
    for _ in range(100):
        care.answered(lost=True)
    assert care.room(0) == 3


def test_one_worker_has_room_for_its_own_writes() -> None:
    assert Care(2).room(0) == 2
