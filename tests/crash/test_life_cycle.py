"""SIGKILL before and after each side effect of an activation and a termination, signals, lost leases.

After each of them the same command again: exactly one ACTIVE package, the database alike, all on record.
The kills come from outside: when the carrier has seen a call or shows its effect, or when the journal
shows a row.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
from collections.abc import Callable

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.long_form import LONG
from tests.pond_life import (
    OTHER,
    SETTLE,
    WANTED,
    A,
    assert_in_order,
    claims,
    in_database,
    own_table,
    plans,
    sims,
    standing,
    steps,
    until,
    writes,
)
from tests.world import ICCIDS, World

pytestmark = pytest.mark.crash

# A call that is held takes its effect after so long, when nobody waits for it any more.
HELD = 0.8
LATE = {"PONDCTL_POND__SETTLE_SECONDS": "1.5"}
ACTIVATE = ("activate", A, "--package-type", WANTED)
TERMINATE = ("terminate", A, "--reason", "gone", "--yes")
CALLS = ("pond.list_packages", "pond.add_package", "pond.package_active", "pond.package_terminated")
JOURNAL = [
    ("claim", "open"),
    ("add_package", "open"),
    ("add_package", "done"),
    ("activate_package", "open"),
    ("activate_package", "done"),
    ("terminate_package", "open"),
    ("terminate_package", "done"),
    ("claim", "done"),
]


def kill_when(process: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    """SIGKILL as soon as the condition holds; it may also come too late, that is one more point."""
    until(lambda: condition() or process.poll() is not None)
    process.kill()
    process.communicate()


def journal_shows(world: World, kind: str, state: str) -> bool:
    found = world._select(f"{own_table(world, 'step')} WHERE kind = '{kind}' AND state = '{state}'")
    return bool(found)


def again(world: World, *words: object) -> None:
    """The same command until it has nothing to wait for; once is enough unless the late effect is later."""
    result = world.run(*words, "-o", "json", **LATE)
    assert result.exit_code == 0, result.stdout + result.stderr
    sent = {"add_package": "add_package", "activate_package": "package_active"}
    for kind, endpoint in (sent | {"terminate_package": "package_terminated"}).items():
        assert world.calls(f"pond.{endpoint}") <= len(steps(world, kind)), "a write without an intent"


@pytest.mark.parametrize("endpoint", CALLS)
def test_killed_while_the_carrier_still_holds_the_call(world: World, endpoint: str) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    world.sandbox.fault(Fault(endpoint, FaultKind.LATENCY, HELD, count=1))
    process = world.spawn(*ACTIVATE, **LATE)
    kill_when(process, lambda: world.calls(endpoint))
    assert process.returncode == -signal.SIGKILL

    again(world, *ACTIVATE)

    assert_in_order(world, A)
    assert len(standing(world, A, "TERMINATED")) == 1


EFFECTS: list[Callable[[World], object]] = [
    lambda world: world.calls("pond.list_packages"),
    lambda world: standing(world, A, "NOT_ACTIVE"),
    lambda world: WANTED in standing(world, A),
    lambda world: standing(world, A, "TERMINATED"),
]


@pytest.mark.parametrize("effect", range(len(EFFECTS)))
def test_killed_when_the_effect_shows_at_the_carrier(world: World, effect: int) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    process = world.spawn(*ACTIVATE, **LATE)
    kill_when(process, lambda: EFFECTS[effect](world))

    again(world, *ACTIVATE)

    assert_in_order(world, A)


@pytest.mark.parametrize(("kind", "state"), JOURNAL)
def test_killed_when_the_journal_says_so(world: World, kind: str, state: str) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    world.sandbox.fault(Fault("pond.*", FaultKind.LATENCY, 0.05))
    process = world.spawn(*ACTIVATE, **LATE)
    kill_when(process, lambda: journal_shows(world, kind, state))

    again(world, *ACTIVATE)

    assert_in_order(world, A)


@pytest.mark.parametrize("endpoint", ["pond.list_packages", "pond.package_terminated"])
def test_a_termination_killed_while_the_call_is_held(world: World, endpoint: str) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"), (WANTED, "NOT_ACTIVE")))
    world.sandbox.fault(Fault(endpoint, FaultKind.LATENCY, HELD, count=1))
    process = world.spawn(*TERMINATE, **LATE)
    kill_when(process, lambda: world.calls(endpoint))

    again(world, *TERMINATE)

    assert standing(world, A, "TERMINATED") == [WANTED, OTHER]
    assert in_database(world, A, "TERMINATED") == [WANTED, OTHER]


@pytest.mark.parametrize("state", ["open", "done"])
@pytest.mark.parametrize("kind", ["claim", "terminate_package"])
def test_a_termination_killed_when_the_journal_says_so(world: World, kind: str, state: str) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"), (WANTED, "NOT_ACTIVE")))
    world.sandbox.fault(Fault("pond.*", FaultKind.LATENCY, 0.05))
    process = world.spawn(*TERMINATE, **LATE)
    kill_when(process, lambda: journal_shows(world, kind, state))

    again(world, *TERMINATE)

    assert standing(world, A, "TERMINATED") == [WANTED, OTHER]
    assert in_database(world, A) == []
    assert not [step for step in steps(world) if step["state"] in ("open", "unknown")]


@pytest.mark.parametrize("seed", range(40 if LONG else 2))
def test_killed_at_a_random_moment_again_and_again(world: World, seed: int) -> None:
    chance = random.Random(seed)
    sims(world, *ICCIDS, packages=((OTHER, "ACTIVE"),))
    world.sandbox.fault(Fault("pond.*", FaultKind.LATENCY, 0.03))
    world.sandbox.fault(Fault("pond.add_package", FaultKind.LATE, 0.5, probability=0.1, seed=seed))
    command = ("activate", *ICCIDS, "--package-type", WANTED, "--workers", "4")
    for _ in range(3):
        process = world.spawn(*command, **LATE)
        seen = world.calls("pond.")
        more = chance.randrange(120)
        kill_when(process, lambda seen=seen, more=more: world.calls("pond.") >= seen + more)
    world.sandbox.clear_faults()

    again(world, *command)

    assert_in_order(world, *ICCIDS)
    assert world.calls("pond.add_package") >= len(ICCIDS)


@pytest.mark.parametrize("seed", range(50 if LONG else 2))
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_in_an_orderly_way_and_resume_finishes_it(
    world: World, number: int, code: int, seed: int
) -> None:
    sims(world, *ICCIDS)
    world.sandbox.fault(Fault("pond.*", FaultKind.LATENCY, 0.1))
    process = world.spawn(
        "activate", *ICCIDS, "--package-type", WANTED, "--workers", "4", "-o", "json", **SETTLE
    )
    moment = 3 + random.Random(seed).randrange(60)
    until(lambda: world.calls("pond.") >= moment)

    process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)  # not obeyed, it would send for more than twice as long
    sent = writes(world)
    stdout, stderr = process.communicate(timeout=25)

    assert process.returncode == code, stderr
    assert writes(world) == sent
    [run] = world.own("run")
    assert f"pondctl runs resume {run['run_id']}" in stderr
    assert run["state"] == "interrupted"
    done = json.loads(stdout)["counts"]["done"]
    assert done == sum(claim["state"] == "done" for claim in claims(world))
    assert not [claim for claim in claims(world) if claim["state"] == "open"]
    assert not [step for step in steps(world) if step["state"] == "open"]
    world.sandbox.clear_faults()
    resumed = world.run("runs", "resume", run["run_id"], "-o", "json", **SETTLE)
    assert resumed.exit_code == 0, resumed.stderr
    assert_in_order(world, *ICCIDS)


def test_a_run_of_another_host_is_left_alone_until_its_lease_is_over(world: World) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.LATENCY, HELD, count=1))
    process = world.spawn(*ACTIVATE, **LATE)
    kill_when(process, lambda: world.calls("pond.add_package"))
    run = own_table(world, "run")
    world.execute(f"UPDATE {run} SET host_key = 'elsewhere'")

    before = world.run(*ACTIVATE, "-o", "json", **LATE)
    # Over since its last sign of life: of a lease that ended long ago no call can still be under way.
    world.execute(f"UPDATE {run} SET lease_until = heartbeat_at WHERE host_key = 'elsewhere'")
    again(world, *ACTIVATE)

    assert before.exit_code == 3
    assert before.json["devices"][0]["category"] == "guarded"
    assert_in_order(world, A)
    assert {row["state"] for row in world.own("run") if row["host_key"] == "elsewhere"} == {"abandoned"}


def test_a_process_that_slept_through_its_lease_writes_nothing_more(world: World) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, HELD, count=1))
    sleeper = world.spawn(*ACTIVATE, "-o", "json", **LATE)
    until(lambda: world.calls("pond.list_packages"))
    sleeper.send_signal(signal.SIGSTOP)
    world.execute(f"UPDATE {own_table(world, 'run')} SET lease_until = '2026-01-01', host_key = 'elsewhere'")

    again(world, *ACTIVATE)
    sleeper.send_signal(signal.SIGCONT)
    sleeper.communicate(timeout=30)

    assert sleeper.returncode == 7
    assert world.calls("pond.add_package") == 1
    assert_in_order(world, A)


def test_of_runs_started_together_one_adds(world: World) -> None:
    sims(world, *ICCIDS[:10])
    command = ("activate", *ICCIDS[:10], "--package-type", WANTED, "-q")

    together = [world.spawn(*command, **SETTLE) for _ in range(3)]
    for process in together:
        process.communicate(timeout=60)

    assert {process.returncode for process in together} <= {0, 3}
    again(world, *command)
    assert_in_order(world, *ICCIDS[:10])
    assert world.calls("pond.add_package") == 10


def test_18_what_was_added_before_a_crash_is_known_to_the_database_afterwards(world: World) -> None:
    sims(world, A)
    process = world.spawn(*ACTIVATE, **LATE)
    kill_when(process, lambda: standing(world, A, "NOT_ACTIVE"))

    again(world, *ACTIVATE)

    assert len(plans(world)) == 1
    assert_in_order(world, A)
