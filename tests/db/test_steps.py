"""The journal of carrier writes."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.records import NewRun
from pondctl.db.step_records import NewWrite, StepKey, StepKind, StepState, Subject, UnresolvedWrite, WriteEnd
from pondctl.db.unit import Unit

A, B = "89148000000000000018", "89148000000000000028"


def intent(sequence: int, iccid: str = A, run_id: str = "r1") -> NewWrite:
    subject = Subject("activate", iccid, 4, 42, 7)
    return NewWrite(StepKey(run_id, sequence), StepKind.ADD_PACKAGE, subject, {"seen": ["x"]})


def journal(database: Database, *writes: NewWrite) -> None:
    database.write(lambda unit: unit.steps.add_intents(writes))


def close(database: Database, *ends: WriteEnd) -> None:
    database.write(lambda unit: unit.steps.close(ends))


def unresolved(database: Database, *iccids: str) -> list[UnresolvedWrite]:
    return database.read(lambda unit: unit.steps.unresolved(iccids))


def test_an_intent_is_open_until_its_write_is_answered(database: Database) -> None:
    journal(database, intent(1), intent(2, B))
    assert [write.key.sequence for write in unresolved(database, A, B)] == [1, 2]

    close(database, WriteEnd(StepKey("r1", 1), StepState.DONE, {"package_id": "p"}))

    [left] = unresolved(database, A, B)
    assert (left.iccid, left.kind, left.intent) == (B, StepKind.ADD_PACKAGE, {"seen": ["x"]})
    done = database.read(lambda unit: unit.steps.page("r1", 0, 10))[0]
    assert (done.state, done.answer, done.operation) == ("done", {"package_id": "p"}, "activate")
    assert done.closed_at is not None


def test_journalling_twice_is_journalling_once(database: Database) -> None:
    journal(database, intent(1))
    journal(database, intent(1), intent(2))

    assert len(database.read(lambda unit: unit.steps.page("r1", 0, 10))) == 2


def test_a_lost_answer_is_unknown_from_its_cut_on(database: Database) -> None:
    journal(database, intent(1))
    close(database, WriteEnd(StepKey("r1", 1), StepState.UNKNOWN, detail="no answer", category="network"))

    [write] = unresolved(database, A)
    assert 0 <= write.seconds_since_cut < 5
    close(database, WriteEnd(StepKey("r1", 1), StepState.UNKNOWN, detail="again"))
    assert unresolved(database, A)[0].seconds_since_cut >= write.seconds_since_cut
    assert database.read(lambda unit: unit.steps.count_unresolved()) == 1


def test_what_is_resolved_stays_as_it_is(database: Database) -> None:
    journal(database, intent(1))
    close(database, WriteEnd(StepKey("r1", 1), StepState.ABSENT))
    close(database, WriteEnd(StepKey("r1", 1), StepState.UNKNOWN))

    assert unresolved(database, A) == []


def started(database: Database, run_id: str, lease_seconds: float) -> None:
    run = NewRun(run_id, "activate", None, "me", "here", "key", 1, 1.0, "default", None, {})

    def write(unit: Unit) -> None:
        unit.runs.claim(run, lambda *_: True)
        until = unit.now() + timedelta(seconds=lease_seconds)
        table = unit.own_tables.run
        unit.state.execute(sa.update(table).where(table.c.run_id == run_id).values(lease_until=until))

    database.write(write)


@pytest.mark.parametrize(("lease", "least", "most"), [(30, 0, 5), (-100, 99, 105)])
def test_what_a_dead_run_left_open_was_cut_now_or_at_the_end_of_its_lease(
    database: Database, lease: float, least: float, most: float
) -> None:
    started(database, "r1", lease)
    journal(database, intent(1))

    database.write(lambda unit: unit.steps.mark_cut("r2", [A]))

    [write] = unresolved(database, A)
    assert least <= write.seconds_since_cut <= most


def test_ones_own_intents_and_other_devices_are_not_cut(database: Database) -> None:
    journal(database, intent(1), intent(2, B))

    database.write(lambda unit: unit.steps.mark_cut("r1", [A, B]))
    database.write(lambda unit: unit.steps.mark_cut("r2", [B]))

    states = {step.iccid: step.state for step in database.read(lambda unit: unit.steps.page("r1", 0, 10))}
    assert states == {A: "open", B: "unknown"}


def test_the_devices_of_a_run_are_kept_in_lists_and_in_order(database: Database) -> None:
    many = [f"89148{number:013d}" for number in range(2500)]
    lists = [many[:1000], many[1000:2000], many[2000:]]
    for _ in range(2):
        database.write(lambda unit: unit.steps.add_targets("r1", 1, lists))

    found: list[str] = []
    after = 0
    while (page := database.read(lambda unit, after=after: unit.steps.page_targets("r1", after))) is not None:  # type: ignore[misc]
        after = page[0]
        found += page[1]

    assert found == many
    assert database.read(lambda unit: unit.steps.page("r1", 0, 10)) == []
    assert database.read(lambda unit: unit.steps.count_unresolved()) == 0


def test_the_latest_steps_of_a_device_come_first(database: Database) -> None:
    journal(database, intent(1), intent(2), intent(3, B))

    found = database.read(lambda unit: unit.steps.of_device(A, 1))

    assert [step.key.sequence for step in found] == [2]
