"""SIGKILL around every commit of commands that act: nothing happens that was not on record before.

A few points by default; PONDCTL_TEST_LONG=1 kills before and after each commit of each command.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dead_letters import bury
from tests.long_form import LONG
from tests.pond_life import OTHER, PROVIDER, SETTLE, WANTED, A, B, sims, steps
from tests.world import World

pytestmark = pytest.mark.crash

# How many commits each has at most, and how many of the points the short form takes. What is answered at
# the same moment is committed together, so that the last few commits are not there every time.
_NOT_ALWAYS = 3
COMMANDS: dict[str, tuple[tuple[object, ...], int, int]] = {
    "activate": (("activate", A, B, "--package-type", WANTED, "--service-provider", PROVIDER), 14, 3),
    "terminate": (("terminate", A, "--reason", "gone", "--yes"), 12, 1),
    "suspend": (("suspend", A, "--reason", "unpaid"), 12, 0),
    "sync-bulk": (("sync-bulk", 1), 15, 1),
    "discard": (("dead-letter", "discard", 1, "--reason", "noise"), 3, 1),
    "lock": (("device", "lock", A, "--reason", "on loan"), 3, 0),
    "retry-failed": (("retry-failed", 1, "--yes"), 16, 0),
}
WRITES = {
    "add_package": "pond.add_package",
    "activate_package": "pond.package_active",
    "terminate_package": "pond.package_terminated",
    "set_services": "pond.set_sim_status",
}


def given(world: World) -> None:
    """Something to do for each command."""
    sims(world, A, B, packages=((OTHER, "ACTIVE"),))
    failed = {"Status": "API_FAILED", "StatusDetails": "network: reset", "IsProcessed": True}
    for iccid in (A, B):
        world.thingspace.add(iccid, state="active", msisdn=f"120155500{iccid[-3:-1]}")
    world.given(A, {"ICCID": B, "HasErrors": True, **failed})
    bury(world)


def killed(world: World, point: str, words: tuple[object, ...]) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.killed_at", point, *map(str, words)],
        env=os.environ | world.settings | SETTLE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode


def verified(world: World) -> Any:
    """What `audit verify` finds; the trail must be whole."""
    found = world.run("audit", "verify", "-o", "json")
    assert found.exit_code == 0, found.stdout
    return found.json


def recorded(world: World, event: str) -> list[dict[str, Any]]:
    rows = [row for row in world.own("audit") if row["event"] == event]
    return [row | {"body": json.loads(row["body"])} for row in rows]


def assert_all_on_record(world: World, before: dict[str, Any]) -> None:
    """No effect here without an intent of the action, none at a carrier without an intent of the write."""
    asked = [row["body"]["kind"] for row in recorded(world, "write.intent")]
    for kind, endpoint in WRITES.items():
        assert world.calls(endpoint) <= asked.count(kind), f"{kind} is not on record"
    assert len(asked) == len(steps(world)), "the journal has other writes than the trail"
    if world.everything() != before or world.calls():
        assert recorded(world, "action.intent"), "done, and not on record"


def points() -> Iterator[tuple[str, str]]:
    """Commands, and around which of their commits they are killed."""
    chance = random.Random(23)
    for name, (_, commits, short) in COMMANDS.items():
        every = [f"{number}{side}" for number in range(1, commits + 1) for side in "-+"]
        always = every[: 2 * (commits - _NOT_ALWAYS)] or every
        yield from ((name, point) for point in (every if LONG else chance.sample(always, short)))


@pytest.mark.parametrize(("name", "point"), list(points()))
def test_whatever_was_done_before_a_kill_is_on_record(world: World, name: str, point: str) -> None:
    words = COMMANDS[name][0]
    given(world)
    before = world.everything()

    ended = killed(world, point, words)

    there_every_time = int(point[:-1]) <= max(1, COMMANDS[name][1] - _NOT_ALWAYS)
    assert ended == -signal.SIGKILL or (not there_every_time and ended in (0, 3, 8))
    found = verified(world)
    assert_all_on_record(world, before)
    lost = recorded(world, "action.intent")[len(recorded(world, "action.outcome")) :]
    assert found["open_actions"] == [row["body"]["action"] for row in lost]
    assert len(found["open_writes"]) == sum(step["state"] == "open" for step in steps(world))

    again = world.run(*words, **SETTLE)

    assert again.exit_code in (0, 3), again.stderr
    assert_all_on_record(world, before)
    found = verified(world)
    assert found["open_writes"] == []
    # Nobody takes over from a run that held nothing any more: that it died stays to be seen.
    assert not [step for step in world.own("step") if step["kind"] == "claim" and step["state"] == "open"]
    assert len(found["open_actions"]) == len(lost), "what was cut short stays to be seen"
