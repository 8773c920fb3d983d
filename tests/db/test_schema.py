from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateTable

from pondctl.db import migrations
from pondctl.db.columns import OwnNames
from pondctl.db.database import Database
from pondctl.db.grants import grants
from pondctl.db.host_tables import build_host_tables
from pondctl.db.migrate import upgrade_script
from pondctl.db.own_tables import REVISIONS, VERSION_TABLE, OwnTables
from pondctl.db.schema import init_database, upgrade, upgrade_sql
from pondctl.errors import ConfigurationError, UsageError
from tests.db.sql_server_words import DIALECT
from tests.db.test_urls import needs_driver


def tables_of(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/a.db")
    init_database(database)

    with database.state_engine.connect() as connection:
        ours = {table.name for table in database.own_tables.metadata.tables.values()}
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _parents: kind != "table" or name in ours,
            },
        )
        differences = compare_metadata(context, database.own_tables.metadata)

    assert differences == []


def test_the_program_knows_exactly_the_revisions_that_are_there() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))))
    scripts = ScriptDirectory.from_config(config)

    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_init_makes_all_tables_and_a_second_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.db"
    database = Database.open(f"sqlite:///{path}")
    init_database(database)
    before = tables_of(path)

    init_database(database)

    assert tables_of(path) == before
    assert {"BulkChange", "M2M_DeviceChange", "pondctl_run", VERSION_TABLE} <= before


def test_init_leaves_a_host_table_that_is_there_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE BulkChange (Id INTEGER PRIMARY KEY, Extra TEXT)")
    connection.close()

    init_database(Database.open(f"sqlite:///{path}"))

    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(BulkChange)")]
    connection.close()
    assert columns == ["Id", "Extra"]


def test_upgrade_makes_own_tables_only_and_no_new_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with pytest.raises(ConfigurationError, match="does not exist"):
        upgrade(Database.open(f"sqlite:///{path}"))
    sqlite3.connect(path).close()

    assert upgrade(Database.open(f"sqlite:///{path}")) == REVISIONS[-1]

    assert all(name.startswith(("pondctl_", "sqlite_")) for name in tables_of(path))


def test_the_script_for_sql_server_has_its_types_and_no_others() -> None:
    script = upgrade_script("mssql", OwnNames("pondctl"), "base")

    for table in OwnTables(OwnNames("pondctl")).metadata.tables.values():
        assert f"CREATE TABLE pondctl.{table.name} (" in script
    assert "id BIGINT NOT NULL IDENTITY" in script
    assert "NVARCHAR(max)" in script
    assert "DATETIME2(3)" in script
    for word in ("NTEXT", "DATETIME,", "DATETIME N", " TEXT", "CHECK", "AUTOINCREMENT", "WHERE"):
        assert word not in script


def test_host_tables_on_sql_server_have_the_contracts_types() -> None:
    tables = build_host_tables({})
    script = "".join(str(CreateTable(t).compile(dialect=DIALECT)) for t in tables.metadata.sorted_tables)

    for line in (
        "[Id] BIGINT NOT NULL IDENTITY",
        "[ChangeRequestType] NVARCHAR(100) NOT NULL",
        "[ChangeRequest] NVARCHAR(max) NULL",
        "[StatusDetails] NVARCHAR(500) NULL",
        "[HasErrors] BIT NULL",
        "[IsProcessed] BIT NOT NULL",
        "[ProcessedDate] DATETIME2(3) NULL",
        "[LogEntryDescription] NVARCHAR(250) NOT NULL",
        "[DataUsageRemainingInBytes] BIGINT NULL",
    ):
        assert line in script
    assert "CHECK" not in script
    assert "VARCHAR(" not in script.replace("NVARCHAR(", "")


@needs_driver
def test_a_dba_gets_the_schema_and_the_tables_in_one_script() -> None:
    database = Database.open("mssql://ann@db.example/host", state_schema="its own")

    script = upgrade_sql(database)

    assert script.startswith("IF SCHEMA_ID('its own') IS NULL EXEC('CREATE SCHEMA [its own]');")
    assert "sqlcmd -b" in script
    assert "CREATE TABLE [its own].run" in script
    assert "GO" in script


@needs_driver
def test_grants_name_real_tables_and_no_ddl() -> None:
    database = Database.open("mssql://ann@db.example/host", names={"BulkChange": "dbo.DeviceBulkChange"})

    script = grants(database, "odd]login")

    assert "GRANT SELECT, UPDATE ON [dbo].[DeviceBulkChange] TO [odd]]login];" in script
    assert "GRANT SELECT, INSERT ON [DeviceBulkChangeLog] TO [odd]]login];" in script
    assert "GRANT SELECT, INSERT ON [pondctl].[audit] TO [odd]]login];" in script
    for word in ("CREATE", "ALTER", "CONTROL", "EXECUTE"):
        assert word not in script


def test_sqlite_has_no_logins_to_grant_to(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        grants(Database.open(f"sqlite:///{tmp_path}/a.db"), "ann")


def test_nothing_of_the_hosts_is_ever_altered_by_a_migration() -> None:
    hosts = {table.name for table in build_host_tables({}).metadata.tables.values()}
    script = upgrade_script("mssql", OwnNames("pondctl"), "base")

    assert not [name for name in hosts if name in script]
