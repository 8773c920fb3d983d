"""`suspend` and `resume` from the command line to the carrier."""

from __future__ import annotations

import json

import pytest

from tests.pond_life import PROVIDER, WANTED, A, B, devices, sims, standing, steps, writes
from tests.world import World


def switches(world: World, iccid: str) -> set[str]:
    sim = world.sandbox.pond.sim(iccid)
    return {sim.data, sim.voice, sim.sms}


def test_suspend_and_resume_switch_all_three_and_leave_the_packages(world: World) -> None:
    sims(world, A, packages=((WANTED, "ACTIVE"),))

    assert world.run("suspend", A).exit_code == 0
    assert switches(world, A) == {"DISABLED"}
    assert world.run("resume", A).exit_code == 0
    assert switches(world, A) == {"ENABLED"}
    assert standing(world, A) == [WANTED]
    assert [step["intent"] for step in steps(world)] == [{"enabled": False}, {"enabled": True}]


@pytest.mark.parametrize(("command", "now"), [("suspend", "DISABLED"), ("resume", "ENABLED")])
def test_what_stands_so_already_is_unchanged(world: World, command: str, now: str) -> None:
    world.sandbox.pond.add_sim(A, services=now)

    result = world.run(command, A, "--yes", "-o", "json")

    assert (result.exit_code, result.json["counts"]["unchanged"], writes(world)) == (0, 1, 0)


@pytest.mark.parametrize("command", ["suspend", "resume"])
def test_a_terminated_sim_is_manual_work(world: World, command: str) -> None:
    world.sandbox.pond.add_sim(A, state="Terminated")

    result = world.run(command, A, "-o", "json")

    assert result.exit_code == 3
    assert (devices(result)[A]["outcome"], devices(result)[A]["category"]) == ("skipped", "invalid_state")
    assert writes(world) == 0


def test_a_dry_run_switches_nothing(world: World) -> None:
    sims(world, A)
    before = world.everything()

    result = world.run("suspend", A, "--dry-run", "-o", "json")

    assert "DISABLED" in devices(result)[A]["detail"]
    assert switches(world, A) == {"ENABLED"}
    assert world.everything() == before


def test_26_a_misspelt_word_switches_nothing_off(world: World) -> None:
    sims(world, A, B)
    bulk = world.given(
        {"ICCID": A, "ChangeRequest": json.dumps({"UpdateStatus": "Suspendd"})},
        {"ICCID": B, "ChangeRequest": json.dumps({"UpdateStatus": "SUSPENDED"})},
        provider=PROVIDER,
    )

    result = world.run("suspend", "--bulk-change", bulk, "-o", "json")

    assert result.exit_code == 3
    assert switches(world, A) == {"ENABLED"}
    assert switches(world, B) == {"DISABLED"}
    assert [row["IsProcessed"] for row in world.rows(bulk)] == [False, True]


def test_3_with_writes_switched_off_no_row_and_no_header_says_processed(world: World) -> None:
    sims(world, A, B)
    row = {"ChangeRequest": json.dumps({"UpdateStatus": "Suspended"})}
    bulk = world.given({"ICCID": A, **row}, {"ICCID": B, **row}, provider=PROVIDER)
    before = world.rows(bulk), world.header(bulk), world.log(bulk)

    result = world.run("suspend", "--bulk-change", bulk, PONDCTL_POND__WRITE_ENABLED="false")

    assert result.exit_code == 4
    assert (world.rows(bulk), world.header(bulk), world.log(bulk)) == before
