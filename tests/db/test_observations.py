from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.observations import Observation, Seen, _from_parameters
from pondctl.db.records import NewRun
from pondctl.models import Carrier
from tests.db.sql_server_words import compile_for_sql_server

A, B = "89148000000000000018", "89148000000000000028"


def add(
    database: Database, *seen: Seen, carrier: str = Carrier.THINGSPACE, run_id: str | None = "r1"
) -> None:
    database.write(lambda unit: unit.observations.add_changes(carrier, seen, run_id))


def of(database: Database, iccid: str = A) -> list[Observation]:
    """Oldest first."""
    return database.read(lambda unit: unit.observations.of_device(iccid, 100))[::-1]


def states(database: Database, iccid: str = A) -> list[tuple[str, str | None, str | None]]:
    return [(seen.state, seen.previous, seen.msisdn) for seen in of(database, iccid)]


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def count(_c: object, _cur: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)


def test_the_first_look_and_each_change_is_a_row_and_nothing_else_is(database: Database) -> None:
    for state in ("pending activation", "pending activation", "active", "active", "suspend", "active"):
        add(database, Seen(A, state))

    assert states(database) == [
        ("pending activation", None, None),
        ("active", "pending activation", None),
        ("suspend", "active", None),
        ("active", "suspend", None),
    ]


def test_a_new_number_is_a_change_and_a_number_that_is_not_told_is_none(database: Database) -> None:
    for number in (None, "1201", None, "", "1201", "1202"):
        add(database, Seen(A, "active", number))

    assert states(database) == [
        ("active", None, None),
        ("active", "active", "1201"),
        ("active", "active", "1202"),
    ]


def test_a_number_that_is_known_stays_known_over_a_change_of_state(database: Database) -> None:
    add(database, Seen(A, "active", "1201"))
    add(database, Seen(A, "suspend"))
    add(database, Seen(A, "suspend", "1201"))

    assert states(database) == [("active", None, "1201"), ("suspend", "active", "1201")]


def test_each_carrier_has_a_history_of_its_own(database: Database) -> None:
    add(database, Seen(A, "active"))
    add(database, Seen(A, "ACTIVE"), carrier=Carrier.POND)
    add(database, Seen(A, "active"))

    assert [(seen.carrier, seen.state, seen.previous) for seen in of(database)] == [
        ("thingspace", "active", None),
        ("pond", "ACTIVE", None),
    ]


def test_of_a_device_given_twice_the_last_one_counts(database: Database) -> None:
    add(database, Seen(A, "pending activation"), Seen(B, "active"), Seen(A, "active"))

    assert (states(database), states(database, B)) == ([("active", None, None)], [("active", None, None)])


def test_a_unit_that_is_redone_adds_nothing_twice(database: Database) -> None:
    def twice() -> None:
        def work(unit: object) -> None:
            for _ in range(2):
                unit.observations.add_changes("thingspace", [Seen(A, "active")], "r1")  # type: ignore[attr-defined]

        database.write(work)

    twice()

    assert len(of(database)) == 1


def test_words_of_any_length_and_any_characters_are_kept(database: Database) -> None:
    odd = '\'; DROP TABLE x; -- \u2028\U0001f600 "quoted" \\ ' + "x" * 200

    add(database, Seen(A, odd, "9" * 80))

    [seen] = of(database)
    assert seen.state == odd[: len(seen.state)]
    assert len(seen.state) <= 100
    assert seen.msisdn == "9" * 50
    add(database, Seen(A, odd, "9" * 80))
    assert len(of(database)) == 1, "what was cut is compared as it was cut"


def test_it_costs_no_statement_for_each_device(database: Database) -> None:
    seen = [Seen(f"8914800000{number:09d}8", "active", f"1201{number:07d}") for number in range(2500)]
    add(database, seen[0])

    with counted_statements() as statements:
        add(database, *seen)

    inserts = [statement for statement in statements if "observation" in statement]
    assert len(inserts) <= 5
    assert len(of(database, seen[2499].iccid)) == 1
    assert len(of(database, seen[0].iccid)) == 1


def test_nothing_seen_is_nothing_written(database: Database) -> None:
    add(database)

    assert of(database) == []


@pytest.mark.parametrize("number", ["1201", None])
def test_sql_server_takes_the_statement_also_where_no_number_is_told(
    database: Database, number: str | None
) -> None:
    insert = _from_parameters(database.own_tables.observation, [Seen(A, "active", number)] * 600)

    text = compile_for_sql_server(insert, {"carrier": "thingspace", "run_id": None})

    assert "VALUES (?, ?, ?)" in text
    assert "NULL" not in text.partition("VALUES")[2].partition("seen")[0]


def run_over(database: Database, run_id: str, target: str) -> None:
    new = NewRun(run_id, "sync-bulk", None, "ann", "h", "k", 1, 1.0, "p", None, {})

    def start(unit: object) -> None:
        unit.runs.claim(new, lambda _pid, _started: True)  # type: ignore[attr-defined]
        table = unit.own_tables.run  # type: ignore[attr-defined]
        unit.state.execute(sa.update(table).where(table.c.run_id == run_id).values(target=target))  # type: ignore[attr-defined]

    database.write(start)


def test_times_to_activation_are_those_that_the_runs_over_a_target_saw(database: Database) -> None:
    run_over(database, "r1", "bulk_change:42")
    run_over(database, "r2", "bulk_change:42")
    run_over(database, "r3", "bulk_change:43")
    iccids = [f"8914800000{number:09d}8" for number in range(10)]
    add(database, *(Seen(iccid, "pending activation") for iccid in iccids))
    add(database, *(Seen(iccid, "Active", "1201") for iccid in iccids), run_id="r2")
    add(database, Seen(A, "active"), run_id="r3")
    add(database, Seen(iccids[0], "Active", "1202"), run_id="r2")
    table, began = database.own_tables.observation, datetime(2026, 11, 23, 8, 0)

    def date(unit: object) -> None:
        for number, iccid in enumerate(iccids, start=1):
            at = began + timedelta(seconds=number)
            where = (table.c.iccid == iccid, table.c.state == "Active")
            unit.state.execute(sa.update(table).where(*where).values(observed_at=at))  # type: ignore[attr-defined]

    database.write(date)

    count, times = database.read(
        lambda unit: unit.observations.activation_times("bulk_change:42", (0.5, 0.95))
    )

    assert count == 10, "a second number of an active device is no second activation"
    assert [(time - began).total_seconds() for time in times] == [5, 10]


def test_without_activations_there_are_no_times(database: Database) -> None:
    found = database.read(lambda unit: unit.observations.activation_times("bulk_change:42", (0.5,)))

    assert found == (0, [])
