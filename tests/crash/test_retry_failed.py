"""`retry-failed` killed, stopped, or run twice at once: the same command finishes it, no row twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, World

pytestmark = pytest.mark.crash

PLAN = 1001
REQUEST = json.dumps({"UpdateStatus": "Active", "Request": {"PackageTypeId": PLAN}})


def failed(iccid: str, **more: Any) -> dict[str, Any]:
    return {
        "ICCID": iccid,
        "Status": "API_FAILED",
        "StatusDetails": "network: connection reset",
        "IsProcessed": True,
        "HasErrors": True,
    } | more


def slow(world: World, seconds: float = 0.15) -> int:
    for number, iccid in enumerate(ICCIDS):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, seconds))
    # The account cannot be read as a whole: each device is looked up.
    world.sandbox.fault(Fault("thingspace.page", FaultKind.FOREIGN_ACCOUNT))
    return world.given(*map(failed, ICCIDS), Status="ERROR")


def slow_pond(world: World) -> int:
    world.settings |= {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]", "PONDCTL_POND__SETTLE_SECONDS": "0.2"}
    for iccid in ICCIDS[:12]:
        world.sandbox.pond.add_sim(iccid)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.LATENCY, 0.1))
    return world.given(*(failed(iccid, ChangeRequest=REQUEST) for iccid in ICCIDS[:12]), provider=4)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def start(world: World, *words: object) -> subprocess.Popen[str]:
    return world.spawn("retry-failed", *words, "--yes", "--workers", "2")


def attempts(world: World, bulk: int) -> Counter[int]:
    """How often each row was taken up again."""
    entries = (e for e in world.log(bulk) if e["LogEntryDescription"].startswith("pondctl retry-failed: "))
    return Counter(entry["M2MDeviceChangeId"] for entry in entries)


@pytest.mark.parametrize("calls", [0, 1, 7, 20])
def test_killed_anywhere_the_same_command_finishes_it(world: World, calls: int) -> None:
    bulk = slow(world)
    process = start(world, bulk)
    until(lambda: world.calls("thingspace.") >= calls)
    process.kill()
    process.communicate()
    world.sandbox.clear_faults()

    result = world.run("retry-failed", bulk, "--yes", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert all(row["MSISDN"] and row["IsProcessed"] for row in world.rows(bulk))
    assert world.header(bulk)["Status"] == "PROCESSED"
    assert attempts(world, bulk) == Counter(row["Id"] for row in world.rows(bulk))
    assert world.run("retry-failed", bulk, "-o", "json").json["devices"] == []


@pytest.mark.parametrize("calls", [1, 5, 15])
def test_killed_anywhere_no_second_package_is_added(world: World, calls: int) -> None:
    bulk = slow_pond(world)
    process = start(world, bulk)
    until(lambda: world.calls("pond.") >= calls)
    process.kill()
    process.communicate()
    world.sandbox.clear_faults()
    # What is in flight takes effect.
    until(lambda: all(call.seconds is not None for call in world.sandbox.calls.recent("pond.*")))

    result = world.run("retry-failed", bulk, "--yes", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert all(row["IsProcessed"] and not row["HasErrors"] for row in world.rows(bulk))
    assert [len(world.sandbox.pond.packages(iccid)) for iccid in ICCIDS[:12]] == [1] * 12
    assert world.header(bulk)["Status"] == "PROCESSED"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_an_orderly_way_and_the_rest_goes_on(
    world: World, number: int, code: int
) -> None:
    bulk = slow(world)
    process = start(world, bulk, "-o", "json")
    until(lambda: world.calls("thingspace.lookup") >= 4)

    process.send_signal(number)
    stdout, _ = process.communicate(timeout=30)

    assert process.returncode == code
    document = json.loads(stdout)
    assert document["status"] == "error"
    assert "retry-failed" in document["error"]["hint"] or "sync-bulk" in document["error"]["hint"]
    done = sum(bool(row["MSISDN"]) for row in world.rows(bulk))
    assert document["counts"]["done"] == done < len(ICCIDS)
    world.sandbox.clear_faults()
    assert world.run("retry-failed", bulk, "--yes").exit_code == 0
    assert all(row["MSISDN"] for row in world.rows(bulk))


def test_started_together_no_row_is_taken_twice(world: World) -> None:
    bulk = slow(world, 0.05)

    together = [start(world, bulk, "-q") for _ in range(3)]
    codes = sorted(process.wait(timeout=90) for process in together)
    for process in together:
        process.communicate()

    assert codes[0] == 0
    assert set(codes) <= {0, 6}
    assert attempts(world, bulk) == Counter(row["Id"] for row in world.rows(bulk))
    assert world.calls("thingspace.lookup") == len(ICCIDS)
    assert all(row["MSISDN"] for row in world.rows(bulk))


def test_a_busy_bulk_change_is_said_and_the_others_go_on(world: World) -> None:
    busy = slow(world)
    other = world.given(failed(ICCIDS[0]))
    process = start(world, busy)
    until(lambda: world.calls("thingspace.lookup") >= 2)

    alone = world.run("retry-failed", busy, "--category", "network", "--yes", "-o", "json")
    mixed = world.run("retry-failed", busy, other, "--category", "network", "--yes", "-o", "json")
    process.communicate(timeout=90)

    # All rows of the busy one are open by now, and theirs is the other run.
    assert alone.exit_code == 6
    assert alone.json["error"]["code"] == "busy"
    assert mixed.exit_code == 0, mixed.stderr
    assert any(str(busy) in hint and "held by run" in hint for hint in mixed.json["hints"])
    assert world.rows(other)[0]["MSISDN"]
