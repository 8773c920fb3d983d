from __future__ import annotations

import inspect
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from pondctl.db.bulk_changes import BulkChanges
from pondctl.db.change_log import ChangeLog
from pondctl.db.database import Database
from pondctl.db.dead_letters import DeadLetters
from pondctl.db.device_changes import DeviceChanges
from pondctl.db.dialects import DATETIME, begins_with, contains, text, utc_in, utcnow
from pondctl.db.messages import Messages
from pondctl.db.meta import Meta
from pondctl.db.outcomes import Outcomes
from pondctl.db.runs import Runs
from pondctl.db.unit import Unit
from tests.db.sql_server_words import DIALECT, compile_for_sql_server

REPOSITORIES = (BulkChanges, ChangeLog, DeadLetters, DeviceChanges, Messages, Meta, Outcomes, Runs)


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_no_method_is_left_that_neither_a_test_here_nor_a_service_calls(repository: type) -> None:
    root = Path(__file__).parents[2]
    folders = ("tests/db", "pondctl/services", "pondctl/commands")
    code = "".join(path.read_text() for folder in folders for path in (root / folder).rglob("*.py"))
    methods = [name for name, _ in inspect.getmembers(repository, inspect.isfunction) if name[0] != "_"]

    assert [name for name in methods if f".{name}(" not in code] == []


def test_repositories_are_built_when_first_used(database: Database) -> None:
    def look(unit: Unit) -> tuple[set[str], set[str]]:
        before = set(vars(unit))
        unit.runs.list_recent(1)
        return before, set(vars(unit))

    before, after = database.read(look)

    assert "runs" not in before
    assert {"runs", "state"} <= after
    assert not after & {"bulk_changes", "device_changes", "messages", "host"}


def test_times_come_from_the_servers_clock() -> None:
    now = "CAST(SYSUTCDATETIME() AS DATETIME2(3))"
    assert compile_for_sql_server(sa.select(utcnow()), {}) == f"SELECT {now} AS utcnow_1"
    assert f"DATEADD(second, ?, DATEADD(millisecond, ?, {now}))" in compile_for_sql_server(
        sa.select(utc_in(1.5)), {}
    )


def test_a_time_travels_as_text_because_drivers_cut_its_fraction_off() -> None:
    moment = sa.column("at", DATETIME)
    given = datetime(2026, 11, 27, 8, 9, 10, 123000)

    text = compile_for_sql_server(sa.select(moment).where(moment == given), {})

    assert text.endswith("= CAST(? AS DATETIME2(3))")
    assert DATETIME.dialect_impl(DIALECT).bind_processor(DIALECT)(given) == "2026-11-27T08:09:10.123000"


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(sa.func.replace(sa.column("a", sa.Unicode()), "x", "y")),
        sa.select(sa.func.strftime(text("%s"))),
        sa.select(sa.column("a", sa.Unicode()).concat("x")).where(sa.literal(None).is_(None)),
        sa.select(sa.column("id", sa.Integer())).where(sa.column("id", sa.Integer()).in_(list(range(2101)))),
    ],
    ids=["varchar beside nvarchar", "a function of SQLite", "a NULL without a type", "too many parameters"],
)
def test_the_check_itself_finds_what_a_server_would_refuse(statement: sa.Select[object]) -> None:
    with pytest.raises(AssertionError):
        compile_for_sql_server(statement, {})


@pytest.mark.parametrize(("words", "literal"), [("[x]", "/[x]"), ("50%_", "50/%/_"), ("a/b", "a//b")])
def test_words_that_are_looked_for_are_no_pattern(words: str, literal: str) -> None:
    column = sa.column("body", sa.Unicode())

    for condition, pattern in (
        (contains(column, words), f"%{literal}%"),
        (begins_with(column, words), f"{literal}%"),
    ):
        compiled = condition.compile(dialect=DIALECT)
        assert list(compiled.params.values()) == [pattern]
        assert "ESCAPE '/'" in str(compiled)


def test_brackets_are_found_as_they_are(database: Database) -> None:
    database.write(lambda unit: unit.meta.set("a[1]_%/:x", "here"))
    database.write(lambda unit: unit.meta.set("a1xy/:x", "not here"))

    assert [found[0] for found in database.read(lambda unit: unit.meta.entries("a[1]_%/"))] == ["a[1]_%/:x"]
