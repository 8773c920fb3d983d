from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from pondctl.db.bulk_facts import BulkFacts, OpenLetter
from pondctl.db.database import Database
from pondctl.db.records import NewDeadLetter, NewMessage, NewRun
from pondctl.db.row_counts import RowCount
from pondctl.db.step_records import NewWrite, StepKey, StepKind, StepState, Subject, WriteEnd
from pondctl.db.unit import Unit
from tests.db.conftest import GivenBulkChange, RowsOf


def facts(database: Database, what: str, *ids: int) -> dict[int, object]:
    found: dict[int, object] = database.read(lambda unit: getattr(unit.bulk_facts, what)(ids))
    return found


def message(key: str, bulk_change_id: int, delay: float, number: int) -> NewMessage:
    return NewMessage(key, "embedded", {}, "", bulk_change_id, number, delay)


def test_the_first_check_to_come_is_told(database: Database) -> None:
    def queue(unit: Unit) -> None:
        for key, bulk, delay, number in (("a", 1, 900, 3), ("b", 1, 60, 2), ("c", 2, -600, 1)):
            unit.messages.add(message(key, bulk, delay, number))
        unit.messages.add(message("d", 3, 0, 1))
        unit.messages.close("d")

    database.write(queue)

    found = database.read(lambda unit: unit.bulk_facts.coming_checks([1, 2, 3, 4]))
    assert set(found) == {1, 2}
    assert (found[1].retry_number, found[1].in_hand) == (2, False)
    assert 50 < found[1].seconds_until_due <= 60
    assert -610 < found[2].seconds_until_due <= -600


def test_a_check_in_hand_says_so(database: Database) -> None:
    database.write(lambda unit: unit.messages.add(message("a", 1, 0, 1)))
    database.write(lambda unit: unit.messages.receive("embedded", 10, 60))

    assert database.read(lambda unit: unit.bulk_facts.coming_checks([1]))[1].in_hand


def test_a_sent_check_is_forgotten_an_hour_after_it_was_due(database: Database) -> None:
    def send(unit: Unit) -> None:
        unit.messages.add(message("a", 1, 0, 1))
        [taken] = unit.messages.receive("embedded", 10, 60)
        unit.messages.mark_sent(taken, "id")

    database.write(send)
    assert 1 in facts(database, "coming_checks", 1)
    table = database.own_tables.message
    old = datetime(2026, 1, 1)
    database.write(lambda unit: unit.state.execute(sa.update(table).values(not_before=old)).close())

    assert facts(database, "coming_checks", 1) == {}


def test_open_dead_letters_are_counted_and_the_newest_named(database: Database) -> None:
    def bury(unit: Unit) -> None:
        for key, bulk in (("a", 1), ("b", 1), ("c", 2)):
            unit.dead_letters.add(
                NewDeadLetter(key, "q", "", {}, f"category {key}", "why", bulk_change_id=bulk)
            )
        unit.dead_letters.mark(3, "discarded", from_state="open", by="ann", reason="x")

    database.write(bury)

    found = facts(database, "open_letters", 1, 2)
    assert set(found) == {1}
    assert isinstance(found[1], OpenLetter)
    assert (found[1].count, found[1].category) == (2, "category b")


def test_rows_with_a_lost_answer_are_counted_once(database: Database) -> None:
    def write(unit: Unit) -> None:
        subjects = [Subject("activate", f"89{n}", 4, 1, n) for n in (1, 1, 2, 3)]
        writes = [
            NewWrite(StepKey("r", n), StepKind.ADD_PACKAGE, subject, {})
            for n, subject in enumerate(subjects, start=1)
        ]
        unit.steps.add_intents(writes)
        unit.steps.close(
            [WriteEnd(StepKey("r", 3), StepState.UNKNOWN), WriteEnd(StepKey("r", 4), StepState.DONE)]
        )

    database.write(write)

    assert facts(database, "unresolved_rows", 1, 2) == {1: 2}


def test_the_last_cancellation_of_each_is_told(database: Database) -> None:
    def cancel(unit: Unit) -> None:
        for run_id, command, reason in (
            ("a", "bulk cancel", "first"),
            ("b", "bulk cancel", "second"),
            ("c", "sync-bulk", "other"),
        ):
            new = NewRun(run_id, command, "bulk_change:1", "ann", "h", "k", 1, 1.0, "p", reason, {})
            unit.runs.claim(new, lambda _pid, _started: True)
            unit.runs.finish(run_id, "done", {}, None)

    database.write(cancel)

    found = database.read(lambda unit: unit.bulk_facts.cancellations([1, 2]))
    assert set(found) == {1}
    assert (found[1].run_id, found[1].actor, found[1].reason) == ("b", "ann", "second")


def test_holders_are_found_for_many_at_once(database: Database) -> None:
    for target in ("bulk_change:1", "bulk_change:2"):
        new = NewRun(f"of {target}", "sync-bulk", target, "ann", "h", "k", 1, 1.0, "p", None, {})
        database.write(lambda unit, new=new: unit.runs.claim(new, lambda _pid, _started: True))
    database.write(lambda unit: unit.runs.finish("of bulk_change:2", "done", {}, None))

    found = database.read(lambda unit: unit.runs.holders(["bulk_change:1", "bulk_change:2", "bulk_change:3"]))

    assert {target: run.run_id for target, run in found.items()} == {"bulk_change:1": "of bulk_change:1"}


def test_rows_are_counted_by_what_they_say(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk = given(*(f"89{n}" for n in range(6)))
    other = given("8999")
    ids = [row.id for row in rows_of(bulk)]

    def settle(unit: Unit) -> None:
        unit.device_changes.set_active([(ids[0], "1201")])
        unit.device_changes.settle_failed([(ids[1], "not_found: a"), (ids[2], "not_found: b")])
        unit.device_changes.note_state([(ids[3], "carrier_unavailable: " + "long " * 30)])

    database.write(settle)

    counts = database.read(lambda unit: unit.row_counts.by_state(bulk))
    assert sorted(counts, key=str) == sorted(
        [
            RowCount(True, False, None, 1),
            RowCount(True, True, "not_found: a", 1),
            RowCount(True, True, "not_found: b", 1),
            RowCount(False, False, "carrier_unavailable: lon", 1),
            RowCount(False, False, None, 2),
        ],
        key=str,
    )
    assert database.read(lambda unit: unit.row_counts.by_state(other)) == [RowCount(False, False, None, 1)]


def test_the_first_open_row_tells_what_is_asked_for(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk = given("891", "892", request="asked")
    first, second = (row.id for row in rows_of(bulk))

    assert database.read(lambda unit: unit.row_counts.first_open_request(bulk)) == "asked"
    database.write(lambda unit: unit.device_changes.settle_done([first, second]))
    assert database.read(lambda unit: unit.row_counts.first_open_request(bulk)) is None


def test_headers_are_narrowed_by_age_and_by_what_they_are_not(
    database: Database, given: GivenBulkChange
) -> None:
    first, second = given(provider=2), given(provider=4)
    now = database.read(lambda unit: unit.now())

    def ids(**how: object) -> list[int]:
        found = database.read(lambda unit: unit.bulk_changes.list_summaries(**how))
        assert database.read(lambda unit: unit.bulk_changes.count(**how)) == len(found)
        return [summary.bulk_change.id for summary in found]

    assert ids(other_than=[2]) == [second]
    assert ids(since=now - timedelta(minutes=1)) == [second, first]
    assert ids(since=now + timedelta(minutes=1)) == []
    assert ids(open_only=True, service_provider_ids=[2]) == [first]


def test_the_newest_of_a_maker_is_found(database: Database, given: GivenBulkChange) -> None:
    given()
    newest = given()

    assert database.read(lambda unit: unit.bulk_changes.find_made_by("somebody")) == newest
    assert database.read(lambda unit: unit.bulk_changes.find_made_by("nobody")) is None


def test_unsettled_rows_come_in_pages(database: Database, given: GivenBulkChange, rows_of: RowsOf) -> None:
    bulk = given("891", "892", "893")
    ids = [row.id for row in rows_of(bulk)]
    database.write(lambda unit: unit.device_changes.settle_done([ids[0]]))

    page = database.read(lambda unit: unit.device_changes.page_unsettled(bulk, 0, 1))

    assert [row.id for row in page] == [ids[1]]
    rest = database.read(lambda unit: unit.device_changes.page_unsettled(bulk, ids[1], 10))
    assert [row.id for row in rest] == [ids[2]]


def test_old_texts_are_forgotten_by_their_beginning(database: Database) -> None:
    database.write(lambda unit: unit.meta.set("seen:a", "1"))
    database.write(lambda unit: unit.meta.set("seen%b", "1"))

    database.write(lambda unit: unit.meta.forget("seen:", 3600))
    assert database.read(lambda unit: unit.meta.get("seen:a")) == "1"
    database.write(lambda unit: unit.meta.forget("seen:", -60))
    assert database.read(lambda unit: unit.meta.get("seen:a")) is None
    assert database.read(lambda unit: unit.meta.get("seen%b")) == "1"


def test_every_question_takes_many_bulk_changes_at_once(database: Database) -> None:
    ids = range(1, 1001)

    for name in (name for name in vars(BulkFacts) if not name.startswith("_")):
        assert facts(database, name, *ids) == {}
