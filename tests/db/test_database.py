from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry, NewBulkChange, NewDeviceChange
from pondctl.db.schema import init_database, upgrade
from pondctl.db.unit import Unit
from pondctl.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    PermissionDeniedError,
    PondctlError,
    SchemaError,
)


@pytest.fixture
def quick(sqlite_url: str) -> Database:
    """A SQLite database that does not wait long for a lock."""
    return Database.open(sqlite_url)


def file_of(database: Database) -> Path:
    assert database.host_address.file is not None
    return database.host_address.file


def held_lock(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_a_unit_is_redone_as_a_whole_when_the_database_was_busy(quick: Database) -> None:
    other = held_lock(file_of(quick))
    timer = threading.Timer(0.4, lambda: other.execute("ROLLBACK"))
    timer.start()

    quick.write(lambda unit: unit.meta.set("a", "1"))

    timer.join()
    other.close()
    assert quick.read(lambda unit: unit.meta.get("a")) == "1"


def test_a_database_that_stays_busy_ends_the_run(quick: Database) -> None:
    other = held_lock(file_of(quick))
    calls: list[int] = []

    def work(unit: Unit) -> None:
        calls.append(1)
        unit.meta.set("a", "1")

    with pytest.raises(DatabaseUnavailableError, match="busy"):
        quick.write(work)

    other.close()
    assert len(calls) == 10


def test_what_a_unit_did_before_trouble_is_not_kept_twice(quick: Database) -> None:
    calls: list[int] = []

    def work(unit: Unit) -> None:
        unit.change_log.add([ChangeLogEntry(1, None, "once")])
        calls.append(1)
        if len(calls) < 3:
            raise sa.exc.TimeoutError("no connection became free")

    quick.write(work)

    assert len(quick.read(lambda unit: unit.change_log.page(1, 0, 10))) == 1


def test_an_error_of_ours_rolls_back_and_is_not_repeated(quick: Database) -> None:
    calls: list[int] = []

    def work(unit: Unit) -> None:
        calls.append(1)
        unit.meta.set("a", "1")
        raise SchemaError("no")

    with pytest.raises(SchemaError, match="no"):
        quick.write(work)

    assert len(calls) == 1
    assert quick.read(lambda unit: unit.meta.get("a")) is None


def test_a_conflict_is_redone_and_then_sees_the_others_row(database: Database) -> None:
    seen: list[str | None] = []

    def work(unit: Unit) -> None:
        seen.append(unit.meta.get("a"))
        if seen == [None]:
            table = unit.own_tables.meta
            row = {"name": "a", "value": "1", "changed_at": unit.now()}
            unit.state.execute(sa.insert(table).inline().values(row))
            unit.state.execute(sa.insert(table).inline().values(row))

    database.write(work)

    assert seen == [None, None], "the first try was rolled back whole"


def test_what_a_failed_commit_leaves_is_committed_by_nobody_else(database: Database) -> None:
    class CutError(Exception):
        pass

    def cut(_connection: sa.Connection) -> None:
        sa.event.remove(sa.Engine, "commit", cut)
        raise CutError

    database.write(lambda unit: unit.meta.set("before", "1"))
    sa.event.listen(sa.Engine, "commit", cut)
    with pytest.raises(CutError):
        database.write(lambda unit: unit.meta.set("a", "1"))
    database.write(lambda unit: unit.meta.set("b", "1"))

    assert [database.read(lambda unit, n=n: unit.meta.get(n)) for n in ("a", "b")] == [None, "1"]


def test_reading_writes_nothing_whatever_it_tries(database: Database) -> None:
    database.read(lambda unit: unit.meta.set("a", "1"))

    assert database.read(lambda unit: unit.meta.get("a")) is None


def test_many_threads_write_through_one_database(database: Database) -> None:
    def write(n: int) -> None:
        for _ in range(10):
            database.write(lambda unit: unit.change_log.add([ChangeLogEntry(n, None, "x")]))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = [len(database.read(lambda unit, n=n: unit.change_log.page(n, 0, 100))) for n in range(8)]
    assert counts == [10] * 8


def test_the_databases_clock_is_utc_without_a_zone(database: Database) -> None:
    now = database.read(lambda unit: unit.now())

    assert now.tzinfo is None
    assert now.year >= 2026


def test_a_mistyped_file_is_refused_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "no such.db"

    with pytest.raises(ConfigurationError, match="does not exist") as caught:
        Database.open(f"sqlite:///{path}").read(lambda unit: unit.now())

    assert "db init" in (caught.value.hint or "")
    assert not path.exists()


def test_a_file_without_our_tables_says_how_to_get_them(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    sqlite3.connect(path).close()

    with pytest.raises(SchemaError) as caught:
        Database.open(f"sqlite:///{path}").read(lambda unit: unit.now())

    assert "pondctl db upgrade" in (caught.value.hint or "")


@pytest.mark.parametrize(("revision", "words"), [("9999", "newer"), ("0000", "newer")])
def test_tables_of_another_release_are_refused(quick: Database, revision: str, words: str) -> None:
    with sqlite3.connect(file_of(quick)) as other:
        other.execute("UPDATE pondctl_alembic_version SET version_num = ?", (revision,))
    other.close()

    with pytest.raises(SchemaError, match=words):
        quick.read(lambda unit: unit.now())
    with pytest.raises(SchemaError, match=words):
        upgrade(quick)


def test_a_missing_host_table_is_a_matter_of_names(sqlite_url: str) -> None:
    database = Database.open(sqlite_url, names={"BulkChange": "DeviceBulkChange"})

    with pytest.raises(SchemaError) as caught:
        database.read(lambda unit: unit.bulk_changes.list_summaries())

    assert "database.names" in (caught.value.hint or "")


def test_a_file_that_may_not_be_written_is_a_matter_of_rights(quick: Database) -> None:
    quick.read(lambda unit: unit.now())

    def work(unit: Unit) -> None:
        unit.state.exec_driver_sql("PRAGMA query_only = ON")
        unit.meta.set("a", "1")

    with pytest.raises(PermissionDeniedError) as caught:
        quick.write(work)
    assert "db grants" in (caught.value.hint or "")


def test_what_no_server_would_take_is_an_error_of_ours(quick: Database) -> None:
    with pytest.raises(PondctlError, match="refused a statement"):
        quick.read(lambda unit: unit.state.exec_driver_sql("SELEC 1").close())


@pytest.fixture
def two(tmp_path: Path) -> Callable[[], Database]:
    """The host's tables in one file, pondctl's own in another."""

    def open_both() -> Database:
        return Database.open(f"sqlite:///{tmp_path}/host.db", state_url=f"sqlite:///{tmp_path}/state/own.db")

    init_database(open_both())
    return open_both


def test_own_tables_can_live_elsewhere(two: Callable[[], Database]) -> None:
    database = two()

    def work(unit: Unit) -> int:
        unit.meta.set("a", "1")
        return unit.bulk_changes.add(NewBulkChange(2, "StatusUpdate", "ann"))

    bulk_change_id = database.write(work)

    again = two()
    assert again.read(lambda unit: unit.meta.get("a")) == "1"
    assert again.read(lambda unit: unit.bulk_changes.get(bulk_change_id)).created_by == "ann"
    assert not database.is_one


def test_own_tables_commit_before_the_hosts(two: Callable[[], Database]) -> None:
    database = two()
    other = held_lock(Path(str(database.host_address.file)))

    def work(unit: Unit) -> None:
        unit.meta.set("a", "1")
        unit.host.execute(sa.select(1))

    unit = Unit(
        database.host_engine,
        database.state_engine,
        database.host_tables,
        database.own_tables,
        writing=False,
    )
    with unit:
        work(unit)
        unit.commit(lambda: False)
    other.close()
    assert two().read(lambda unit: unit.meta.get("a")) == "1"


def test_columns_with_other_names_are_used_and_absent_ones_left_out(tmp_path: Path) -> None:
    names = {
        "BulkChange": "DeviceBulkChange",
        "M2M_DeviceChange.LastModified": "ModifiedDate",
        "M2M_DeviceChange.IpAddress": "",
        "M2M_DeviceChange.StatusDetails": "",
        "M2M_DeviceChange.IsDeleted": "",
        "M2M_DeviceChange.ChangeRequest": "vDeviceChangeRequest.Request",
    }
    database = Database.open(f"sqlite:///{tmp_path}/host.db", names=names)
    init_database(database)
    with sqlite3.connect(tmp_path / "host.db") as host:
        host.execute("CREATE TABLE vDeviceChangeRequest (Id INTEGER PRIMARY KEY, Request TEXT)")
        host.execute("INSERT INTO vDeviceChangeRequest VALUES (1, '{}')")
        columns = {row[1] for row in host.execute("PRAGMA table_info(M2M_DeviceChange)")}
    host.close()
    assert "ModifiedDate" in columns
    assert not columns & {"LastModified", "IpAddress", "StatusDetails", "IsDeleted", "ChangeRequest"}

    def work(unit: Unit) -> int:
        bulk_change_id = unit.bulk_changes.add(NewBulkChange(2, "StatusUpdate", "ann"))
        rows = [NewDeviceChange("8901", "ignored"), NewDeviceChange("8902")]
        unit.device_changes.add(bulk_change_id, rows, created_by="ann")
        unit.device_changes.note_state([(1, "pending")])
        unit.device_changes.settle_failed([(2, "not_found: no")])
        unit.device_changes.set_active([(1, "12015550123")])
        return bulk_change_id

    bulk_change_id = database.write(work)

    first, second = database.read(lambda unit: unit.device_changes.page(bulk_change_id, 0, 10))
    assert (first.change_request, first.status_details, first.msisdn) == ("{}", None, "12015550123")
    assert (second.change_request, second.status) == (None, "API_FAILED")
    database.close()


def test_a_mapped_device_changes_with_its_row(tmp_path: Path) -> None:
    names = {"Device": "Device", "Device.LastModified": ""}
    database = Database.open(f"sqlite:///{tmp_path}/host.db", names=names)
    init_database(database)
    with sqlite3.connect(tmp_path / "host.db") as host:
        host.execute("CREATE TABLE Device (id INTEGER PRIMARY KEY, ICCID, MSISDN, Status, ServiceProviderId)")
        host.executemany(
            "INSERT INTO Device VALUES (?, ?, NULL, 'pending', ?)",
            [(7, "8901", 2), (8, "8902", 2), (9, "8902", 4), (10, "8903", 2)],
        )
    host.close()

    def make(unit: Unit) -> None:
        bulk_change_id = unit.bulk_changes.add(NewBulkChange(2, "StatusUpdate", "ann"))
        rows = [
            NewDeviceChange("8901", None, 7),
            NewDeviceChange("8902"),
            NewDeviceChange("8903", None, 10, "1"),
        ]
        unit.device_changes.add(bulk_change_id, rows, created_by="ann")

    database.write(make)
    for _ in range(2):
        database.write(lambda unit: unit.device_changes.set_active([(1, "111"), (2, "222"), (3, "333")]))

    with sqlite3.connect(tmp_path / "host.db") as host:
        devices = host.execute("SELECT id, MSISDN, Status FROM Device ORDER BY id").fetchall()
    host.close()
    assert devices == [
        (7, "111", "active"),
        (8, "222", "active"),
        (9, None, "pending"),
        (10, None, "pending"),
    ]
    database.close()
