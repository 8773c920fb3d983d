"""What the life cycle does when POND, the network or the database fail in the middle."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.long_form import LONG
from tests.pond_life import (
    OTHER,
    SETTLE,
    WANTED,
    A,
    B,
    assert_in_order,
    devices,
    sims,
    standing,
    steps,
    until,
    writes,
)
from tests.world import ICCIDS, Result, World

pytestmark = pytest.mark.faults

MANY = 1000 if LONG else 60
CALLS = ("pond.list_packages", "pond.add_package", "pond.package_active", "pond.package_terminated")
KINDS = [
    (FaultKind.STATUS, 503),
    (FaultKind.STATUS, 500),
    (FaultKind.STATUS, 408),
    (FaultKind.THROTTLE, 0.01),
    (FaultKind.CUT_BEFORE, None),
    (FaultKind.CUT_AFTER, None),
    (FaultKind.CUT_BODY, None),
    (FaultKind.LATE, 0.2),
    (FaultKind.HTML, None),
    (FaultKind.TRUNCATED, None),
    (FaultKind.WRONG_TYPE, None),
    (FaultKind.ERROR_IN_200, None),
    (FaultKind.REFUSE, "not today"),
    (FaultKind.OTHER_DEVICE, None),
]


def activate(world: World, *words: object, **settings: str) -> Result:
    return world.run("activate", *words, "--package-type", WANTED, "-o", "json", **SETTLE | settings)


@pytest.mark.parametrize("endpoint", CALLS)
@pytest.mark.parametrize(("kind", "value"), KINDS, ids=str)
def test_no_fault_at_any_call_makes_a_second_package(
    world: World, endpoint: str, kind: FaultKind, value: float | str | None
) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    world.sandbox.fault(Fault(endpoint, kind, value, count=1))

    first = activate(world, A)
    state = devices(first)[A]["outcome"]
    shown = standing(world, A)
    world.sandbox.clear_faults()
    second = activate(world, A)

    assert first.exit_code == {"done": 0, "failed": 3, "deferred": 8, "unknown": 9}[state]
    assert state == "done" or shown != [WANTED]
    assert second.exit_code == 0, second.stdout
    assert_in_order(world, A)
    assert len(world.sandbox.pond.packages(A)) == 2


@pytest.mark.parametrize("endpoint", ["pond.get_device", "pond.set_sim_status"])
@pytest.mark.parametrize(("kind", "value"), KINDS, ids=str)
def test_no_fault_at_any_call_of_a_suspend_leaves_it_half_done(
    world: World, endpoint: str, kind: FaultKind, value: float | str | None
) -> None:
    sims(world, A)
    world.sandbox.fault(Fault(endpoint, kind, value, count=1))

    first = world.run("suspend", A, "-o", "json", **SETTLE)
    state = devices(first)[A]["outcome"]
    world.sandbox.clear_faults()
    second = world.run("suspend", A, "-o", "json", **SETTLE)

    assert first.exit_code == {"done": 0, "failed": 3, "deferred": 8, "unknown": 9}[state]
    assert second.exit_code == 0
    sim = world.sandbox.pond.sim(A)
    assert {sim.data, sim.voice, sim.sms} == {"DISABLED"}
    assert not [step for step in steps(world) if step["state"] in ("open", "unknown")]


@pytest.mark.timeout(1800 if LONG else 120)
@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.LATE])
def test_many_lost_and_late_answers_make_no_second_package(world: World, kind: FaultKind) -> None:
    many = [f"8914800001{number:09d}1" for number in range(MANY)]
    sims(world, *many)
    value = 0.5 if kind is FaultKind.LATE else None
    lost = world.sandbox.fault(Fault("pond.add_package", kind, value))

    result = activate(
        world,
        *("--from", "-", "--workers", "32"),
        stdin="\n".join(many),
        PONDCTL_POND__SETTLE_SECONDS="5",
    )

    assert result.exit_code == 0, result.stderr
    assert lost.fired == len(many)
    assert world.calls("pond.add_package") == len(many)
    assert_in_order(world, *many)


def test_what_cannot_be_read_back_is_unknown_and_the_next_run_finds_it(world: World) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.CUT_AFTER, count=1))
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.STATUS, 503, after=1))

    first = activate(world, A)
    assert first.exit_code == 9
    assert (devices(first)[A]["outcome"], devices(first)[A]["category"]) == (
        "unknown",
        "carrier_unavailable",
    )
    [step] = steps(world)
    assert (step["state"], step["cut_at"] is not None) == ("unknown", True)
    world.sandbox.clear_faults()
    second = activate(world, A)

    assert second.exit_code == 0
    assert world.calls("pond.add_package") == 1
    assert_in_order(world, A)


def test_a_dry_run_says_that_an_open_write_is_read_back_first(world: World) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.CUT_BEFORE, count=1))
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.STATUS, 503, after=1))
    activate(world, A)
    world.sandbox.clear_faults()

    result = activate(world, A, "--dry-run")

    assert result.exit_code == 0
    assert "read back first" in devices(result)[A]["detail"]


def test_the_run_waits_for_late_effects_of_some_devices_while_the_others_go_on(world: World) -> None:
    sims(world, *ICCIDS)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.LATE, 0.5, count=3))
    began = time.monotonic()

    result = activate(world, *ICCIDS, "--workers", "2", PONDCTL_POND__SETTLE_SECONDS="2")

    assert result.exit_code == 0
    assert time.monotonic() - began < 8
    assert_in_order(world, *ICCIDS)


def test_an_outage_ends_the_run_and_the_next_one_finishes(world: World) -> None:
    sims(world, *ICCIDS)
    world.sandbox.fault(Fault("pond.*", FaultKind.STATUS, 503, after=30))

    first = activate(world, *ICCIDS, PONDCTL_LIMITS__OUTAGE_SECONDS="2", PONDCTL_LIMITS__MAX_ERROR_RATE="1")

    assert first.exit_code == 7
    assert first.json["error"]["code"] == "carrier_unavailable"
    world.sandbox.clear_faults()
    assert activate(world, *ICCIDS).exit_code == 0
    assert_in_order(world, *ICCIDS)


def test_a_carrier_that_refuses_connections_gets_no_write_journalled_as_sent(world: World) -> None:
    sims(world, A)

    result = activate(
        world, A, PONDCTL_POND__BASE_URL="http://127.0.0.1:9", PONDCTL_LIMITS__OUTAGE_SECONDS="2"
    )

    assert result.exit_code in (7, 8)
    assert steps(world) == []


def test_throttling_is_no_error_and_loses_nothing(world: World) -> None:
    sims(world, *ICCIDS)
    world.sandbox.fault(Fault("pond.*", FaultKind.THROTTLE, 0.05, every=7))

    result = activate(world, *ICCIDS)

    assert result.exit_code in (0, 8)
    world.sandbox.clear_faults()
    assert activate(world, *ICCIDS).exit_code == 0
    assert_in_order(world, *ICCIDS)


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Nobody else can write to the database."""
    if world.engine.dialect.name != "sqlite":
        pytest.skip("made with the one lock of SQLite")
    connection = sqlite3.connect(world.url.removeprefix("sqlite:///"), timeout=10, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def test_a_database_that_goes_away_in_the_middle_costs_no_second_package(world: World) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("a server's database is taken away otherwise")
    sims(world, A, B)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.LATENCY, 0.5))
    process = world.spawn(
        *("activate", A, B, "--package-type", WANTED, "-o", "json"),
        PONDCTL_DATABASE__URL=f"{world.url}?timeout=0.1",
        **SETTLE,
    )
    until(lambda: world.calls("pond.add_package") == 2)

    with locked(world):
        stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 7, stderr
    assert '"code": "database_unavailable"' in stdout
    assert '"outcome": "done"' not in stdout
    world.sandbox.clear_faults()
    assert activate(world, A, B).exit_code == 0
    assert_in_order(world, A, B)
    assert world.calls("pond.add_package") == 2


def test_a_broken_connection_to_the_reader_of_the_output_stops_nothing_half_way(world: World) -> None:
    sims(world, A)
    with world.spawn("activate", A, "--package-type", WANTED, **SETTLE) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=30)

    again = activate(world, A)

    assert again.exit_code == 0
    assert_in_order(world, A)
    assert writes(world) == 2
