from __future__ import annotations

import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry, NewDeadLetter, NewMessage, NewRun
from pondctl.db.step_records import RatePlanRow
from pondctl.db.unit import Unit
from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Outcome
from tests.db.conftest import GivenBulkChange, RowsOf

A, B = "89148000000000000018", "89148000000000000028"


def test_rows_come_with_their_header_newest_first_in_padded_spellings_too(
    database: Database, given: GivenBulkChange
) -> None:
    first, second = given(A), given(A + "F", B, provider=4)

    rows = database.read(lambda unit: unit.device_rows.changes(A, 10))

    assert [(row["BulkChangeId"], row["HeaderServiceProviderId"]) for row in rows] == [
        (second, 4),
        (first, 2),
    ]
    assert rows[0]["HeaderChangeRequestType"] == "StatusUpdate"
    assert len(database.read(lambda unit: unit.device_rows.changes(A, 1))) == 1


def test_devices_are_found_by_number_newest_first(database: Database, given: GivenBulkChange) -> None:
    given(A, MSISDN="12015550123")
    given(B, MSISDN="2015550123")
    given(A, MSISDN="12015550123")

    def of(*numbers: str) -> list[str]:
        return database.read(lambda unit: unit.device_rows.iccids_of(numbers, 10))

    assert of("12015550123", "2015550123") == [A, B]
    assert of("2015550123") == [B]
    assert of("1") == []


def test_packages_and_log_are_those_of_the_device(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk = given(A, B)
    ids = [row.id for row in rows_of(bulk)]

    def write(unit: Unit) -> None:
        unit.rate_plans.save({A: [RatePlanRow(A, "p1", 1001, "ACTIVE", None, 4)]})
        unit.rate_plans.save({B: [RatePlanRow(B, "p2", 1001, "ACTIVE", None, 4)]})
        entries = [ChangeLogEntry(bulk, row_id, f"about {row_id}") for row_id in (*ids, None)]
        unit.change_log.add(entries)

    database.write(write)

    def read(unit: Unit) -> tuple[list[str], list[str]]:
        changes = unit.device_rows.changes(A, 10)
        packages = [row["PackageId"] for row in unit.device_rows.packages(A, 10)]
        return packages, [row["LogEntryDescription"] for row in unit.device_rows.log(changes, 10)]

    assert database.read(read) == (["p1"], [f"about {ids[0]}"])
    assert database.read(lambda unit: unit.device_rows.log([], 10)) == []


def test_the_hosts_own_row_is_read_only_where_its_table_is_mapped(
    database: Database, sqlite_url: str
) -> None:
    assert database.read(lambda unit: unit.device_rows.device(A)) is None
    mapped = Database.open(sqlite_url, names={"Device": "Device"})
    table = mapped.host_tables.device
    assert table is not None

    def write(unit: Unit) -> None:
        table.table.metadata.create_all(unit.host)
        row = {"id": 7, "ICCID": A, "MSISDN": "1201", "Status": "active", "ServiceProviderId": 2}
        unit.host.execute(sa.insert(table.table).inline().values(row))

    mapped.apply(write)

    row = mapped.read(lambda unit: unit.device_rows.device(A))

    assert row is not None
    assert (row["id"], row["MSISDN"], row["Status"]) == (7, "1201", "active")
    mapped.close()


def test_what_was_kept_is_found_by_device_and_by_bulk_change(database: Database) -> None:
    def write(unit: Unit) -> None:
        new = NewRun("r1", "sync-bulk", "bulk_change:1", "ann", "h", "k", 1, 1.0, "p", "why", {})
        unit.runs.claim(new, lambda _pid, _started: True)
        unit.outcomes.add(
            "r1", [DeviceOutcome(A, Outcome.FAILED, Category.NOT_FOUND), DeviceOutcome(B, Outcome.DONE)]
        )
        unit.messages.add(NewMessage("m1", "embedded", {}, "", 1, 3))
        unit.messages.add(NewMessage("m2", "embedded", {}, "", 2, 1))
        unit.dead_letters.add(NewDeadLetter("d1", "q", "", {}, "not_found", "gone", bulk_change_id=1))

    database.write(write)

    def read(unit: Unit) -> dict[str, list[object]]:
        history = unit.device_history
        return {
            "outcomes": [(row["outcome"], row["command"]) for row in history.outcomes(A, 10)],
            "messages": [row["retry_number"] for row in history.messages([1], 10)],
            "letters": [row["reason"] for row in history.dead_letters([1], 10)],
            "runs": [(row["run_id"], row["reason"]) for row in history.runs([1, 2], 10)],
            "none": history.messages([], 10) + history.dead_letters([], 10) + history.runs([], 10),
        }

    assert database.read(read) == {
        "outcomes": [("failed", "sync-bulk")],
        "messages": [3],
        "letters": ["gone"],
        "runs": [("r1", "why")],
        "none": [],
    }
