"""`device lock|unlock`."""

from __future__ import annotations

import pytest

from tests.pond_life import A, B
from tests.world import World


def test_a_lock_says_who_and_why(world: World) -> None:
    result = world.run("device", "lock", A, B, "--reason", "lifts", "-o", "json")

    assert result.exit_code == 0
    assert [(row["id"], row["changed"], row["reason"]) for row in result.json] == [
        (A, True, "lifts"),
        (B, True, "lifts"),
    ]
    assert all(row["locked_by"] for row in result.json)
    assert {row["iccid"] for row in world.own("device_lock")} == {A, B}


def test_a_device_that_is_locked_already_keeps_its_reason(world: World) -> None:
    world.run("device", "lock", A, "--reason", "lifts")

    result = world.run("device", "lock", A, A, "--reason", "other", "-o", "json")

    assert [(row["changed"], row["reason"]) for row in result.json] == [(False, "lifts")]


def test_unlocking_says_what_the_lock_was_for(world: World) -> None:
    world.run("device", "lock", A, "--reason", "lifts")

    result = world.run("device", "unlock", A, B, "--reason", "moved", "-o", "json")

    assert result.exit_code == 0
    assert [(row["changed"], row["reason"]) for row in result.json] == [(True, "lifts"), (False, None)]
    assert world.own("device_lock") == []


def test_a_lock_without_a_reason_says_that_none_was_given(world: World) -> None:
    assert world.run("device", "lock", A, "-o", "json").json[0]["reason"] == "no reason given"
    assert world.run("device", "unlock", A).exit_code == 0
    assert world.own("device_lock") == []


@pytest.mark.parametrize("command", ["lock", "unlock"])
@pytest.mark.parametrize("words", [("89123", "--reason", "x"), ()])
def test_what_is_incomplete_changes_nothing(world: World, command: str, words: tuple[str, ...]) -> None:
    assert world.run("device", command, *words).exit_code == 2
    assert world.own("device_lock") == []


def test_a_viewer_may_not_lock(world: World) -> None:
    result = world.run("device", "lock", A, "--reason", "x", PONDCTL_ACCESS__ROLE="viewer")

    assert result.exit_code == 4
