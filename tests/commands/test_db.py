"""`db init`, `upgrade`, `check`, `grants` and `prune`, from the command line, on a SQLite file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path, {"PONDCTL_DATABASE__URL": f"sqlite:///{tmp_path / 'iot.db'}"})


def test_init_makes_the_tables_says_where_and_may_be_repeated(program: Program) -> None:
    first = program.run("db", "init", "-o", "json")
    second = program.run("db", "init", "-o", "json")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.json == second.json
    assert first.json["revision"]
    assert first.stderr == f"profile default, database {program.home / 'iot.db'}\n"
    with sqlite3.connect(program.home / "iot.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"BulkChange", "M2M_DeviceChange", "pondctl_run"} <= tables


def test_what_is_about_to_be_touched_is_said_without_passwords(program: Program) -> None:
    ended = program.run(
        "db",
        "init",
        PONDCTL_PROFILE="staging",
        PONDCTL_THINGSPACE__ACCOUNT_NAME="0000123456-00001",
        PONDCTL_POND__DISTRIBUTOR_ID="77",
    )

    assert ended.stderr == (
        f"profile staging, database {program.home / 'iot.db'}, ThingSpace account 0000123456-00001, "
        "POND distributor 77\n"
    )


def test_check_is_0_when_nothing_is_missing_and_2_when_something_is(program: Program) -> None:
    program.run("db", "init")
    good = program.run("db", "check", "-o", "json")
    names = '{"M2M_DeviceChange.MSISDN": "Telephone", "BulkChange": "Header"}'
    bad = program.run("db", "check", "-o", "json", PONDCTL_DATABASE__NAMES=names)

    assert (good.exit_code, good.json) == (0, [])
    assert bad.exit_code == 2
    assert [finding["subject"] for finding in bad.json] == ["BulkChange", "M2M_DeviceChange.MSISDN"]
    assert all(finding["id"] and finding["remedy"] for finding in bad.json)
    assert program.run("db", "check", "-q").stdout == ""


def test_upgrade_as_script_changes_nothing(program: Program) -> None:
    ended = program.run("db", "upgrade", "--sql")

    assert ended.exit_code == 0
    assert "CREATE TABLE pondctl_run" in ended.stdout
    assert not (program.home / "iot.db").exists()


def test_grants_are_for_servers_with_logins(program: Program) -> None:
    ended = program.run("db", "grants", "pondctl_user")

    assert ended.exit_code == 2
    assert "SQLite has no logins" in ended.stderr


def test_prune_keeps_the_retention_of_the_settings_or_of_the_flag(program: Program) -> None:
    program.run("db", "init")

    by_setting = program.run("db", "prune", "-o", "json", PONDCTL_LIMITS__RETENTION_DAYS="7")
    by_flag = program.run("db", "prune", "--days", "3", "-o", "json", PONDCTL_LIMITS__RETENTION_DAYS="7")

    assert by_setting.json["retention_days"] == 7
    assert by_flag.json["retention_days"] == 3
    assert set(by_flag.json["removed"].values()) == {0}


@pytest.mark.parametrize("words", [("init",), ("upgrade",), ("prune",)])
def test_what_changes_tables_needs_the_role_admin(program: Program, words: tuple[str, ...]) -> None:
    ended = program.run("db", *words, PONDCTL_ACCESS__ROLE="operator")

    assert ended.exit_code == 4
    assert "environment PONDCTL_ACCESS__ROLE" in ended.stderr
    assert not (program.home / "iot.db").exists()


@pytest.mark.parametrize("words", [("init",), ("upgrade",), ("check",), ("prune",), ("grants", "x")])
def test_with_no_database_nothing_is_made_up(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = Program(tmp_path).run("db", *words)

    assert ended.exit_code == 2
    assert "no database is configured" in ended.stderr
    assert "pondctl demo" in ended.stderr
    assert list(tmp_path.rglob("*.db")) == []
