from __future__ import annotations

import inspect
from functools import cached_property
from pathlib import Path

import pytest
import sqlalchemy as sa

from pondctl.db.bulk_changes import BulkChanges
from pondctl.db.change_log import ChangeLog
from pondctl.db.dead_letters import DeadLetters
from pondctl.db.device_changes import DeviceChanges
from pondctl.db.dialects import text, utc_in, utcnow
from pondctl.db.messages import Messages
from pondctl.db.meta import Meta
from pondctl.db.outcomes import Outcomes
from pondctl.db.runs import Runs
from pondctl.db.unit import Unit
from tests.db.sql_server_words import compile_for_sql_server

REPOSITORIES = (BulkChanges, ChangeLog, DeadLetters, DeviceChanges, Messages, Meta, Outcomes, Runs)


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_no_method_is_left_that_neither_a_test_here_nor_a_service_calls(repository: type) -> None:
    root = Path(__file__).parents[2]
    folders = ("tests/db", "pondctl/services", "pondctl/commands")
    code = "".join(path.read_text() for folder in folders for path in (root / folder).rglob("*.py"))
    methods = [name for name, _ in inspect.getmembers(repository, inspect.isfunction) if name[0] != "_"]

    assert [name for name in methods if f".{name}(" not in code] == []


def test_repositories_are_built_when_first_used() -> None:
    lazy = {name for name, kind in vars(Unit).items() if isinstance(kind, cached_property)}

    assert {"bulk_changes", "device_changes", "runs", "messages", "dead_letters", "outcomes", "meta"} <= lazy


def test_times_come_from_the_servers_clock() -> None:
    assert compile_for_sql_server(sa.select(utcnow()), {}) == "SELECT SYSUTCDATETIME() AS utcnow_1"
    assert "DATEADD(second, ?, DATEADD(millisecond, ?, SYSUTCDATETIME()))" in compile_for_sql_server(
        sa.select(utc_in(1.5)), {}
    )


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
