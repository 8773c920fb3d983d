from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.dialects import utc_in
from pondctl.db.records import NewRun
from pondctl.db.unit import Unit
from pondctl.errors import BusyError, NotFoundError
from pondctl.models import Outcome

NEW = NewRun(
    run_id="run-1",
    command="sync-bulk",
    target="bulk_change:42",
    actor="ann",
    host="admin-1",
    host_key="boot-1",
    pid=100,
    process_started=1.5,
    profile="staging",
    reason=None,
    arguments={"workers": 8},
)


def alive(pid: int, started: float) -> bool:
    return True


def gone(pid: int, started: float) -> bool:
    return (pid, started) != (100, 1.5)


def claim(
    database: Database, run_id: str, is_alive: Callable[[int, float], bool] = alive, **other: object
) -> None:
    new = replace(NEW, run_id=run_id, **other)
    database.write(lambda unit: unit.runs.claim(new, is_alive))


def let_the_lease_run_out(database: Database, run_id: str) -> None:
    table = database.own_tables.run
    update = sa.update(table).where(table.c.run_id == run_id)
    past = {"lease_until": utc_in(-1), "heartbeat_at": utc_in(-46)}
    database.write(lambda unit: unit.state.execute(update.values(past)).close())


def test_a_run_comes_back_as_it_was_claimed(database: Database) -> None:
    claim(database, "run-1", reason="asked for")

    run = database.read(lambda unit: unit.runs.get("run-1"))

    assert (run.state, run.target, run.actor, run.reason) == ("running", "bulk_change:42", "ann", "asked for")
    assert run.arguments == {"workers": 8}
    assert (run.stale, run.cancel_requested, run.counts) == (False, False, {})


def test_a_held_target_is_refused_and_the_holder_named(database: Database) -> None:
    claim(database, "run-1")

    with pytest.raises(BusyError, match=r"run-1 \(sync-bulk, ann on admin-1, since 20") as caught:
        claim(database, "run-2")

    assert "runs cancel run-1" in (caught.value.hint or "")
    with pytest.raises(NotFoundError):
        database.read(lambda unit: unit.runs.get("run-2"))


def test_other_targets_and_runs_without_a_target_do_not_disturb(database: Database) -> None:
    claim(database, "run-1")
    claim(database, "run-2", target="bulk_change:43")
    claim(database, "run-3", target=None)
    claim(database, "run-4", target=None)

    assert len(database.read(lambda unit: unit.runs.list_recent(state="running"))) == 4


def test_a_finished_run_frees_its_target(database: Database) -> None:
    claim(database, "run-1")

    assert database.write(lambda unit: unit.runs.finish("run-1", "done", {Outcome.DONE: 3}, None))
    assert not database.write(lambda unit: unit.runs.finish("run-1", "failed", {}, "again"))
    claim(database, "run-2")

    run = database.read(lambda unit: unit.runs.get("run-1"))
    assert (run.state, run.counts, run.error) == ("done", {"done": 3}, None)
    assert run.finished_at is not None
    holder = database.read(lambda unit: unit.runs.open_for("bulk_change:42"))
    assert holder is not None
    assert holder.run_id == "run-2"


def test_a_lease_that_ran_out_is_taken_over_and_noticed(database: Database) -> None:
    claim(database, "run-1", host_key="another host")
    let_the_lease_run_out(database, "run-1")
    assert [run.run_id for run in database.read(lambda unit: unit.runs.list_recent(stale_only=True))] == [
        "run-1"
    ]

    claim(database, "run-2")

    assert not database.write(lambda unit: unit.runs.heartbeat("run-1"))
    assert database.read(lambda unit: unit.runs.get("run-1")).state == "abandoned"
    assert database.write(lambda unit: unit.runs.heartbeat("run-2"))


def test_a_late_heartbeat_keeps_a_lease_that_nobody_took(database: Database) -> None:
    claim(database, "run-1")
    let_the_lease_run_out(database, "run-1")

    assert database.write(lambda unit: unit.runs.heartbeat("run-1"))
    with pytest.raises(BusyError):
        claim(database, "run-2", host_key="another host")


def test_a_dead_process_of_the_same_host_frees_its_lease_at_once(database: Database) -> None:
    claim(database, "run-1")

    claim(database, "run-2", gone, pid=101)

    assert database.read(lambda unit: unit.runs.get("run-1")).state == "abandoned"


def test_a_process_of_another_host_is_not_judged_by_its_number(database: Database) -> None:
    claim(database, "run-1", host_key="another host")

    with pytest.raises(BusyError):
        claim(database, "run-2", gone)


def test_a_run_asked_to_stop_hears_it_at_its_heartbeat(database: Database) -> None:
    claim(database, "run-1")

    assert database.write(lambda unit: unit.runs.request_cancel("run-1", "wrong file"))

    assert not database.write(lambda unit: unit.runs.heartbeat("run-1"))
    run = database.read(lambda unit: unit.runs.get("run-1"))
    assert (run.state, run.cancel_requested) == ("running", True)
    assert not database.write(lambda unit: unit.runs.request_cancel("no such run"))


def test_of_many_who_claim_at_once_one_gets_it(database: Database) -> None:
    won: list[str] = []
    refused: list[str] = []
    start = threading.Barrier(8)

    def try_it(name: str) -> None:
        start.wait()
        try:
            claim(database, name)
        except BusyError:
            refused.append(name)
        else:
            won.append(name)

    threads = [threading.Thread(target=try_it, args=(f"run-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(won), len(refused)) == (1, 7)


def test_runs_are_listed_newest_first(database: Database) -> None:
    for name in ("run-1", "run-2", "run-3"):
        claim(database, name, target=None)
    database.write(lambda unit: unit.runs.finish("run-2", "done", {}, None))

    def names(**how: object) -> list[str]:
        return [run.run_id for run in database.read(lambda unit: unit.runs.list_recent(**how))]

    assert names() == ["run-3", "run-2", "run-1"]
    assert names(limit=1) == ["run-3"]
    assert names(state="done") == ["run-2"]
    assert names(command="activate") == []


def test_what_was_kept_is_known_by_the_unit_that_wrote_it(database: Database) -> None:
    claim(database, "run-1")

    def beat(unit: Unit) -> str:
        unit.runs.heartbeat("run-1", unit.key)
        return unit.key

    key = database.write(beat)
    lost = database.read(beat)

    assert [database.read(lambda unit, k=k: unit.runs.has_kept(k)) for k in (key, lost)] == [True, False]
    database.write(lambda unit: unit.runs.heartbeat("run-1"))
    assert database.read(lambda unit: unit.runs.has_kept(key)), "a heartbeat beside it hides nothing"
