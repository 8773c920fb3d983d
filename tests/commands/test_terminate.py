"""`terminate` from the command line to the rows: irreversible, so asked for twice."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.pond_life import (
    OTHER,
    PROVIDER,
    WANTED,
    A,
    B,
    devices,
    in_database,
    locked_while,
    sims,
    standing,
    steps,
    writes,
)
from tests.world import ICCIDS, Result, World

TERMINATE = ("terminate", "--reason", "gone", "--yes")
TWO = ((WANTED, "ACTIVE"), (OTHER, "NOT_ACTIVE"))


def terminate(world: World, *words: object, **settings: str) -> Result:
    return world.run("terminate", *words, "--reason", "gone", "-o", "json", **settings)


def at_terminal(world: World, typed: str, *words: object, **settings: str) -> tuple[int, str]:
    """Run the program on a terminal, and type an answer to its question."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pondctl", "terminate", "--reason", "gone", *map(str, words)],
        env=os.environ | world.settings | settings,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
    )
    os.close(slave)
    shown = ""
    answered = False
    try:
        while chunk := os.read(master, 4096).decode():
            shown += chunk
            if not answered and ("[y/N]" in shown or "to go on:" in shown):
                os.write(master, f"{typed}\n".encode())
                answered = True
    except OSError:
        pass
    process.communicate(timeout=30)
    os.close(master)
    return process.returncode, shown


def test_every_package_is_ended_and_the_database_agrees(world: World) -> None:
    sims(world, A, packages=TWO)

    result = terminate(world, A, "--yes")

    assert result.exit_code == 0, result.stderr
    assert standing(world, A) == standing(world, A, "NOT_ACTIVE") == []
    assert in_database(world, A, "TERMINATED") == [WANTED, OTHER]
    assert {step["state"] for step in steps(world)} == {"done"}
    assert world.own("run")[0]["reason"] == "gone"


def test_a_named_package_is_ended_alone(world: World) -> None:
    sims(world, A, packages=TWO)
    [active] = [p for p in world.sandbox.pond.packages(A) if p.status == "ACTIVE"]

    assert terminate(world, A, "--package", active.package_id, "--yes").exit_code == 0
    assert standing(world, A, "NOT_ACTIVE") == [OTHER]
    assert standing(world, A) == []


def test_a_package_that_is_not_there_is_not_found(world: World) -> None:
    sims(world, A, packages=TWO)

    result = terminate(world, A, "--package", "x", "--yes")

    assert result.exit_code == 3
    assert devices(result)[A]["category"] == "not_found"
    assert writes(world) == 0


def test_a_second_time_nothing_is_sent(world: World) -> None:
    sims(world, A, packages=TWO)
    terminate(world, A, "--yes")
    sent = writes(world)

    result = terminate(world, A, "--yes")

    assert (result.exit_code, result.json["counts"]["unchanged"], writes(world)) == (0, 1, sent)


@pytest.mark.parametrize("words", [(), ("--reason", " ")])
def test_without_a_reason_nothing_is_started(world: World, words: tuple[str, ...]) -> None:
    sims(world, A, packages=TWO)

    assert world.run("terminate", A, "--yes", *words).exit_code == 2
    assert world.calls() == 0


def test_without_a_terminal_yes_is_needed(world: World) -> None:
    sims(world, A, packages=TWO)

    result = terminate(world, A)

    assert result.exit_code == 2
    assert result.json["error"]["code"] == "confirmation_missing"
    assert "--yes" in result.json["error"]["hint"]
    assert writes(world) == 0
    assert world.own("run") == []


def test_a_dry_run_asks_nobody_and_ends_nothing(world: World) -> None:
    sims(world, A, packages=TWO)
    before = world.everything()

    result = terminate(world, A, "--dry-run")

    assert result.exit_code == 0
    assert "end packages" in devices(result)[A]["detail"]
    assert world.everything() == before
    assert writes(world) == 0


@pytest.mark.parametrize(("typed", "code"), [("y", 0), ("n", 10), ("", 10), ("1", 10)])
def test_a_few_devices_are_confirmed_by_yes(world: World, typed: str, code: int) -> None:
    sims(world, A, packages=TWO)

    ended, shown = at_terminal(world, typed, A)

    assert ended == code, shown
    assert "1 device" in shown
    assert "2 packages" in shown
    assert (standing(world, A) == []) == (code == 0)


@pytest.mark.parametrize(("typed", "code"), [("12", 0), ("y", 10), ("11", 10)])
def test_more_than_ten_are_confirmed_by_their_number(world: World, typed: str, code: int) -> None:
    sims(world, *ICCIDS[:12], packages=TWO)

    ended, shown = at_terminal(world, typed, *ICCIDS[:12])

    assert ended == code, shown
    assert "24 packages" in shown
    assert (writes(world) > 0) == (code == 0)


@pytest.mark.parametrize(
    ("count", "words", "code"),
    [
        (10, ("--yes",), 0),
        (11, ("--yes",), 2),
        (11, ("--yes", "--confirm", "staging"), 2),
        (11, ("--yes", "--confirm", "production"), 0),
        (11, ("--confirm", "production"), 2),
        (1, ("--yes", "--confirm", "staging"), 2),
    ],
)
def test_a_protected_profile_is_named_for_more_than_ten(
    world: World, tmp_path: Path, count: int, words: tuple[str, ...], code: int
) -> None:
    sims(world, *ICCIDS[:count], packages=((WANTED, "ACTIVE"),))
    config = tmp_path / "pondctl.toml"
    config.write_text("[profiles.production]\nprotected = true\n", encoding="utf-8")
    config.chmod(0o600)

    result = terminate(world, *ICCIDS[:count], *words, "--profile", "production", "--config", config)

    assert result.exit_code == code, result.stderr
    assert (writes(world) > 0) == (code == 0)


def test_no_more_devices_than_a_run_may_end(world: World) -> None:
    sims(world, A, B, packages=TWO)

    result = terminate(world, A, B, "--yes", PONDCTL_LIMITS__MAX_TERMINATIONS_PER_RUN="1")

    assert result.exit_code == 2
    assert "max_terminations_per_run" in result.json["error"]["message"]
    assert world.calls() == 0


def test_a_locked_device_is_never_ended(world: World) -> None:
    sims(world, A, B, packages=TWO)
    world.run("device", "lock", A, "--reason", "lifts")

    result = terminate(world, A, B, "--yes")

    assert result.exit_code == 3
    assert (devices(result)[A]["outcome"], devices(result)[A]["category"]) == ("skipped", "guarded")
    assert "lifts" in devices(result)[A]["detail"]
    assert standing(world, A) == [WANTED]
    assert standing(world, B) == []
    assert {step["iccid"] for step in steps(world)} == {B}
    world.run("device", "unlock", A, "--reason", "moved out")
    assert terminate(world, A, "--yes").exit_code == 0


def test_one_package_belongs_to_one_device(world: World) -> None:
    assert terminate(world, A, B, "--package", "x", "--yes").exit_code == 2
    assert world.calls() == 0


def test_19_20_one_end_that_fails_is_named_and_nothing_that_is_done_is_forgotten(world: World) -> None:
    sims(world, A, packages=((WANTED, "ACTIVE"), (OTHER, "ACTIVE"), (1003, "ACTIVE")))
    world.sandbox.fault(Fault("pond.package_terminated", FaultKind.REFUSE, "not now", after=1, count=1))

    result = terminate(world, A, "--yes")

    assert result.exit_code == 3
    [left] = standing(world, A)
    assert in_database(world, A) == [left]
    assert len(in_database(world, A, "TERMINATED")) == 2
    assert "not now" in devices(result)[A]["detail"]


def test_rows_of_a_bulk_change_are_ended_only_where_they_ask_for_it(world: World) -> None:
    sims(world, A, B, packages=TWO)
    bulk = world.given(
        {"ICCID": A, "ChangeRequest": json.dumps({"UpdateStatus": "Terminated"})},
        {"ICCID": B, "ChangeRequest": json.dumps({"UpdateStatus": "Active"})},
        provider=PROVIDER,
    )

    result = terminate(world, "--bulk-change", bulk, "--yes")

    assert result.exit_code == 3
    assert standing(world, A) == []
    assert standing(world, B) == [WANTED]
    assert [row["IsProcessed"] for row in world.rows(bulk)] == [True, False]


def test_a_lock_that_is_set_after_the_claim_keeps_the_packages(world: World) -> None:
    sims(world, A, B, packages=TWO)

    found, code, _ = locked_while(world, "pond.list_packages", *TERMINATE, A, B)

    assert code == 3
    assert (found[A]["outcome"], found[A]["category"]) == ("skipped", "guarded")
    assert found[A]["detail"].endswith(": lifts")
    assert found[B]["outcome"] == "done"
    assert (standing(world, A), standing(world, B)) == ([WANTED], [])
    assert {step["state"] for step in steps(world) if step["iccid"] == A} == {"not_sent"}
    assert world.run("terminate", A, "--reason", "gone", "--yes", "-o", "json").exit_code == 3


def test_a_lock_between_two_packages_keeps_the_second(world: World) -> None:
    sims(world, A, packages=TWO)
    bulk = world.given(
        {"ICCID": A, "ChangeRequest": json.dumps({"UpdateStatus": "Terminated"})}, provider=PROVIDER
    )

    found, code, lock = locked_while(world, "pond.package_terminated", *TERMINATE, "--bulk-change", bulk)

    assert code == 3
    assert (found[A]["outcome"], found[A]["category"]) == ("failed", "guarded")
    assert "could not be ended: locked by" in found[A]["detail"]
    assert world.calls("pond.package_terminated") == 1
    # It was begun: the row does not wait as if nothing had happened.
    [row] = world.rows(bulk)
    assert (bool(row["IsProcessed"]), bool(row["HasErrors"])) == (True, True)
    # What was under way when the lock was set is told to whoever set it.
    assert f"{A}: run " in lock.stderr
    assert "has asked to end a package before the lock" in lock.stderr
