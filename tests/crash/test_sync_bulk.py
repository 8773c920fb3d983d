"""SIGKILL, SIGTERM, SIGINT, and two runs at once: the next run finishes, nothing lost, nothing doubled."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, World

pytestmark = pytest.mark.crash


def slow(world: World, seconds: float = 0.15) -> int:
    for number, iccid in enumerate(ICCIDS):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, seconds))
    return world.given(*ICCIDS)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def start(world: World, bulk: int, *words: str) -> subprocess.Popen[str]:
    return world.spawn("sync-bulk", bulk, "--strategy", "lookup", "--workers", "2", *words)


@pytest.mark.parametrize("calls", [0, 1, 5, 15, 30])
def test_killed_anywhere_the_next_run_finishes(world: World, calls: int) -> None:
    bulk = slow(world)
    process = start(world, bulk)
    until(lambda: world.calls("thingspace.lookup") >= calls)
    process.kill()
    process.communicate()
    world.sandbox.clear_faults()

    result = world.run("sync-bulk", bulk, "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert all(row["MSISDN"] and row["IsProcessed"] for row in world.rows(bulk))
    assert world.header(bulk)["Status"] == "PROCESSED"
    logged = [entry["M2MDeviceChangeId"] for entry in world.log(bulk) if entry["M2MDeviceChangeId"]]
    assert len(logged) == len(set(logged))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_in_an_orderly_way(world: World, number: int, code: int) -> None:
    bulk = slow(world, 0.6)  # so long the signal may take
    process = start(world, bulk, "-o", "json")
    until(lambda: world.calls("thingspace.lookup") >= 4)
    asked = world.calls("thingspace.lookup")

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=25)

    assert process.returncode == code, stderr
    done = sum(bool(row["MSISDN"]) for row in world.rows(bulk))
    assert asked <= done <= asked + 2
    assert json.loads(stdout)["counts"]["done"] == done
    assert f"pondctl sync-bulk {bulk}" in stderr
    assert world.calls("thingspace.lookup") == done


def test_of_two_runs_at_once_the_second_says_so_and_does_nothing(world: World) -> None:
    bulk = slow(world)
    process = start(world, bulk)
    until(lambda: world.calls("thingspace.lookup") >= 1)

    second = world.run("sync-bulk", bulk)
    process.communicate(timeout=60)

    assert second.exit_code == 6
    assert process.returncode == 0
    assert world.calls("thingspace.lookup") == len(ICCIDS)
    assert world.run("sync-bulk", bulk, "-q").exit_code == 0


def test_started_together_one_works_and_the_other_is_refused(world: World) -> None:
    bulk = slow(world)

    together = [start(world, bulk, "-q") for _ in range(3)]
    codes = sorted(process.wait(timeout=60) for process in together)
    for process in together:
        process.communicate()

    assert codes == [0, 6, 6]
    assert world.calls("thingspace.lookup") == len(ICCIDS)
