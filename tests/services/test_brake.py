"""The canary, and the stop of a run that goes wrong."""

from __future__ import annotations

from pondctl.models import DeviceOutcome, Outcome
from pondctl.services._brake import Brake


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


def test_the_share_that_is_allowed_does_not_stop_it() -> None:
    brake = Brake(1000, 0.05)
    decide(brake, done=95, failed=5)

    assert brake.reason is None


def test_skipped_and_deferred_ones_are_no_errors() -> None:
    brake = Brake(1000, 0.0)
    decide(brake, skipped=10, deferred=10)

    assert brake.reason is None
