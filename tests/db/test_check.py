from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from pondctl.db.catalogue import Catalogue
from pondctl.db.check import check
from pondctl.db.database import Database
from pondctl.db.records import Finding
from pondctl.errors import ConfigurationError

Change = Callable[..., Database]


@pytest.fixture
def changed(sqlite_url: str) -> Change:
    """The fresh database after some statements, opened with some names."""

    def change(*statements: str, **names: str) -> Database:
        database = Database.open(sqlite_url, names=names)
        assert database.host_address.file is not None
        with sqlite3.connect(database.host_address.file) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return database

    return change


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def test_a_right_database_has_no_findings(changed: Change) -> None:
    assert check(changed()) == []


def test_a_missing_table_comes_with_the_line_that_names_it(changed: Change) -> None:
    found = only(check(changed("ALTER TABLE BulkChange RENAME TO DeviceBulkChange")))

    assert (found.level, found.subject) == ("error", "BulkChange")
    assert "database.names" in found.remedy
    assert check(changed(BulkChange="DeviceBulkChange")) == []


def test_own_tables_and_columns_that_are_gone_are_named(changed: Change) -> None:
    gone = changed("DROP TABLE pondctl_step", "ALTER TABLE pondctl_run DROP COLUMN reason")

    found = [(each.level, each.message) for each in check(gone)]

    assert sorted(found) == [
        ("error", "pondctl_step is not there, or the login may not see it"),
        ("error", "the columns reason of pondctl_run are not there, or the login may not see it"),
    ]


def test_a_missing_column_comes_with_the_line_that_names_it(changed: Change) -> None:
    renamed = "ALTER TABLE M2M_DeviceChange RENAME COLUMN LastModified TO ModifiedDate"

    found = only(check(changed(renamed)))

    assert (found.level, found.subject) == ("error", "M2M_DeviceChange.LastModified")
    assert '"M2M_DeviceChange.LastModified" = ' in found.remedy


def test_a_missing_index_comes_with_its_statement(changed: Change) -> None:
    found = only(check(changed("DROP INDEX IX_M2M_DeviceChange_BulkChangeId")))

    assert found.level == "warning"
    assert found.remedy == (
        "CREATE INDEX [IX_M2M_DeviceChange_BulkChangeId] ON [M2M_DeviceChange] ([BulkChangeId]);"
    )


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TABLE pondctl_alembic_version", "not in this database"),
        ("UPDATE pondctl_alembic_version SET version_num = '9999'", "newer"),
    ],
)
def test_own_tables_of_another_age_are_found(changed: Change, statement: str, words: str) -> None:
    found = only(check(changed(statement)))

    assert words in found.message
    assert "upgrade" in found.remedy or "newer" in found.remedy


def test_checking_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        check(Database.open(f"sqlite:///{tmp_path}/a.db"))

    assert not list(tmp_path.iterdir())


class _SqlServer:
    """Writes down what the catalogue would ask a SQL Server."""

    class dialect:  # noqa: N801 - as SQLAlchemy names it
        name = "mssql"

    def __init__(self, kind: str = "BASE TABLE") -> None:
        self.kind = kind
        self.asked: list[str] = []

    def execute(self, query: object) -> _SqlServer:
        self.asked.append(str(query))
        return self

    def scalars(self) -> list[str]:
        return [self.kind] if "TABLE_TYPE" in self.asked[-1] else []

    def first(self) -> tuple[int, int]:
        return 1, 0

    def scalar(self) -> None:
        return None

    def __iter__(self) -> object:
        return iter([("dbo", "BulkChange"), ("dbo", "spt_monitor"), ("sys", "objects")])


def test_sql_server_is_asked_in_views_that_every_server_has() -> None:
    server = _SqlServer()
    catalogue = Catalogue(server)  # type: ignore[arg-type] # only what a connection is used for here

    assert catalogue.base_tables() == [("dbo", "BulkChange")]
    assert catalogue.columns("X", "otherdb.dbo") == set()
    assert catalogue.leading_columns("X", "otherdb.dbo") == set()
    assert catalogue.rights("X", None, ["SELECT", "UPDATE"]) == {"SELECT": True, "UPDATE": False}
    assert not catalogue.has_schema("pondctl")

    asked = "\n".join(server.asked)
    assert "[otherdb].INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = :name AND TABLE_SCHEMA = :owner" in asked
    assert "[otherdb].sys.index_columns" in asked
    assert "HAS_PERMS_BY_NAME(:name, 'OBJECT', :right_1)" in asked
    assert "sys.schemas" in asked


def test_a_view_has_no_indexes_to_miss() -> None:
    server = _SqlServer("VIEW")

    assert Catalogue(server).leading_columns("X", None) is None  # type: ignore[arg-type] # as above
    assert "TABLE_NAME = :name AND TABLE_SCHEMA IN (SCHEMA_NAME(), 'dbo')" in server.asked[0]
