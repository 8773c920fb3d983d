"""`runs list|show|resume|cancel`."""

from __future__ import annotations

import json
import signal

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.pond_life import (
    OTHER,
    SETTLE,
    WANTED,
    A,
    B,
    C,
    assert_in_order,
    claims,
    devices,
    own_table,
    sims,
    standing,
    until,
)
from tests.world import ICCIDS, Row, World


def newest(world: World) -> Row:
    return max(world.own("run"), key=lambda row: row["id"])


def test_a_run_is_listed_with_who_what_and_how_it_ended(world: World) -> None:
    sims(world, A)
    world.run("activate", A, "--package-type", WANTED, "--reason", "order")

    result = world.run("runs", "list", "-o", "json")

    [run] = result.json
    assert (run["command"], run["state"], run["counts"], run["reason"]) == (
        "activate",
        "done",
        {"done": 1},
        "order",
    )
    assert "@" in run["actor"]


def test_a_run_is_shown_with_its_steps_and_the_packages_before_and_after(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    sims(world, B)
    world.run("activate", A, B, C, "--package-type", WANTED)

    shown = world.run("runs", "show", newest(world)["run_id"], "-o", "json").json

    assert shown["arguments"]["package_type_id"] == str(WANTED)
    assert [(o["iccid"], o["outcome"], o["category"]) for o in shown["outcomes"]] == [
        (C, "failed", "not_found")
    ]
    [device] = [s for s in shown["steps"] if s["kind"] == "device" and s["iccid"] == A]
    packages = device["answer"]
    assert [p["status"] for p in packages["before"]] == ["ACTIVE"]
    assert sorted(p["status"] for p in packages["after"]) == ["ACTIVE", "TERMINATED"]
    kinds = [s["kind"] for s in shown["steps"] if s["iccid"] == A and s["kind"] != "device"]
    assert kinds == ["add_package", "activate_package", "terminate_package"]
    assert "runs resume" in shown["next"]


def test_a_run_that_does_not_exist_is_named(world: World) -> None:
    for words in (("show", "x"), ("resume", "x"), ("cancel", "x")):
        result = world.run("runs", *words, "-o", "json")
        assert (result.exit_code, result.json["error"]["code"]) == (2, "not_found"), words


def test_resume_takes_only_what_is_left(world: World) -> None:
    sims(world, A, B)
    world.run("activate", A, B, C, "--package-type", WANTED, "--keep-existing")
    first = newest(world)["run_id"]
    sims(world, C, packages=((OTHER, "ACTIVE"),))
    world.sandbox.calls.clear()

    result = world.run("runs", "resume", first, "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert list(devices(result)) == [C]
    assert world.calls("pond.list_packages") == 1
    assert standing(world, C) == [WANTED, OTHER]
    again = world.run("runs", "resume", newest(world)["run_id"], "-o", "json")
    assert (again.exit_code, again.json["devices"]) == (0, [])


def test_a_killed_run_is_resumed_with_its_arguments(world: World) -> None:
    sims(world, *ICCIDS)
    world.sandbox.fault(Fault("pond.*", FaultKind.LATENCY, 0.05))
    process = world.spawn("activate", *ICCIDS, "--package-type", WANTED, "--workers", "4", **SETTLE)
    until(lambda: world.calls("pond.package_active") >= 5)
    process.kill()
    process.communicate()
    world.sandbox.clear_faults()
    run_id = newest(world)["run_id"]

    result = world.run("runs", "resume", run_id, "-o", "json", **SETTLE)

    assert result.exit_code == 0, result.stderr
    assert 0 < len(devices(result)) < len(ICCIDS)
    assert_in_order(world, *ICCIDS)


def test_devices_that_were_refused_come_last_so_that_they_do_not_stop_the_rest(world: World) -> None:
    many = [f"8914800001{number:09d}1" for number in range(120)]
    sims(world, *many[10:])
    stopped = world.run("activate", *many, "--package-type", WANTED, "-o", "json", **SETTLE)
    assert (stopped.exit_code, stopped.json["counts"]["done"]) == (7, 0)

    first = world.run("runs", "resume", newest(world)["run_id"], "-o", "json", **SETTLE)
    last = world.run("runs", "resume", newest(world)["run_id"], "-o", "json", **SETTLE)

    assert first.json["counts"]["done"] == 110
    assert (last.exit_code, last.json["counts"]["done"], last.json["counts"]["failed"]) == (3, 0, 10)
    assert_in_order(world, *many[10:])


def test_a_run_that_was_killed_before_its_devices_were_stored_says_so(world: World) -> None:
    sims(world, A)
    world.run("activate", A, "--package-type", WANTED)
    run_id = newest(world)["run_id"]
    world.execute(f"DELETE FROM {own_table(world, 'step')} WHERE kind = 'targets'")

    result = world.run("runs", "resume", run_id, "-o", "json")

    assert result.exit_code == 2
    assert "as it was typed" in result.json["error"]["hint"]


def test_a_termination_is_confirmed_again(world: World) -> None:
    sims(world, A, packages=((WANTED, "ACTIVE"),))
    world.sandbox.fault(Fault("pond.package_terminated", FaultKind.THROTTLE, 0.01))
    world.run("terminate", A, "--reason", "gone", "--yes")
    world.sandbox.clear_faults()
    run_id = newest(world)["run_id"]

    assert world.run("runs", "resume", run_id).exit_code == 2
    assert world.run("runs", "resume", run_id, "--yes").exit_code == 0
    assert standing(world, A) == []
    assert newest(world)["reason"] == "gone"


def test_a_live_run_is_not_resumed_and_can_be_cancelled(world: World) -> None:
    sims(world, *ICCIDS)
    world.sandbox.fault(Fault("pond.*", FaultKind.LATENCY, 0.2))
    process = world.spawn("activate", *ICCIDS, "--package-type", WANTED, "--workers", "2", "-o", "json")
    until(lambda: world.calls("pond.package_active") >= 1)
    run_id = newest(world)["run_id"]

    assert world.run("runs", "resume", run_id).exit_code == 6
    cancelled = world.run("runs", "cancel", run_id, "--reason", "wrong list", "-o", "json")
    stdout, stderr = process.communicate(timeout=30)

    assert cancelled.exit_code == 0
    assert process.returncode == 7, stderr
    assert "cancelled" in json.loads(stdout)["error"]["message"]
    assert f"pondctl runs resume {run_id}" in stderr
    done = json.loads(stdout)["counts"]["done"]
    assert 1 <= done < len(ICCIDS)
    row = newest(world)
    assert (row["cancel_reason"], json.loads(row["counts"]).get("done", 0)) == ("wrong list", done)
    assert not [claim for claim in claims(world) if claim["state"] == "open"]
    world.sandbox.clear_faults()
    assert world.run("runs", "resume", run_id, **SETTLE).exit_code == 0
    assert_in_order(world, *ICCIDS)


def test_a_run_that_has_ended_cannot_be_cancelled(world: World) -> None:
    sims(world, A)
    world.run("activate", A, "--package-type", WANTED)

    assert world.run("runs", "cancel", newest(world)["run_id"]).exit_code == 2


def test_a_stale_run_is_shown_as_such(world: World) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 5))
    process = world.spawn("activate", A, "--package-type", WANTED)
    until(lambda: world.calls("pond.list_packages"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    world.execute(f"UPDATE {own_table(world, 'run')} SET lease_until = '2026-01-01'")

    [run] = world.run("runs", "list", "--stale", "-o", "json").json

    assert run["state"] == "stale"


@pytest.mark.parametrize("how", ["cancel", "resume"])
def test_a_dead_run_that_holds_no_device_is_ended_by_hand(world: World, how: str) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 5, count=1))
    process = world.spawn("activate", A, "--package-type", WANTED)
    until(lambda: world.calls("pond.list_packages"))
    process.kill()
    process.communicate()
    run_id = newest(world)["run_id"]
    # As if it had died after its last device was given back, and before its end was written.
    world.execute(
        f"UPDATE {own_table(world, 'step')} SET claim = 'free', state = 'failed' WHERE kind = 'claim'"
    )

    result = world.run("runs", how, run_id, "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert world.run("runs", "show", run_id, "-o", "json").json["state"] == "abandoned"
    assert world.run("runs", "resume", run_id).exit_code == 0
    assert_in_order(world, A)
    assert world.run("audit", "verify").exit_code == 0
