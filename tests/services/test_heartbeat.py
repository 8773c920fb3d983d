"""The heartbeat of a run: who takes over ends it, its own end does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pondctl.db.database import Database
from pondctl.models import Stop
from pondctl.services.auditing.trail import Trail
from pondctl.services.running.actor import Actor
from pondctl.services.running.run import Run, claimed_run
from pondctl.telemetry.audit_head import HeadFile
from tests.world import World


@contextmanager
def running(world: World, stop: Stop) -> Iterator[tuple[Database, Run]]:
    database = Database.open(world.url)
    trail = Trail(database, "tests", lambda: b"a key of the tests", HeadFile("tests"))
    about = {"command": "sync-bulk", "target": "bulk_change:1", "arguments": {}}
    actor = Actor("tests", trail)
    with claimed_run(database, stop, run_id="r1", actor=actor, **about) as run:  # type: ignore[arg-type]
        yield database, run
    database.close()


def beat(run: Run) -> None:
    """A few heartbeats, at once."""
    heart = run.beating(every=0.01)
    time.sleep(0.3)
    run.end()
    heart.join(5)


def test_a_run_that_has_just_written_its_end_is_not_lost(world: World) -> None:
    stop = Stop()
    with running(world, stop) as (database, run):
        database.write(lambda unit: unit.runs.finish("r1", "done", {}, None))
        beat(run)

    assert stop.why is None


@pytest.mark.parametrize("taken_over", ["state = 'abandoned'", "cancel_requested = 1"])
def test_a_run_that_is_taken_over_or_cancelled_stops(world: World, taken_over: str) -> None:
    stop = Stop()
    with running(world, stop) as (_, run):
        world.execute(f"UPDATE {world.own_name('run')} SET {taken_over}")
        beat(run)

    assert stop.why == "lost"
