from __future__ import annotations

from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry
from tests.db.conftest import GivenBulkChange


def test_entries_come_back_in_order_and_cut_to_the_column(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given()
    full = ChangeLogEntry(bulk_change_id, 12, "x" * 300, True, "error", "request", "response", "API_FAILED")
    bare = ChangeLogEntry(bulk_change_id, None, "scan")

    database.write(lambda unit: unit.change_log.add([full, bare]))

    (_, first), (last_id, second) = database.read(lambda unit: unit.change_log.page(bulk_change_id, 0, 10))
    assert first.description == "x" * 250
    assert (first.device_change_id, first.has_errors, first.error_text) == (12, True, "error")
    assert (first.request_text, first.response_text, first.response_status) == (
        "request",
        "response",
        "API_FAILED",
    )
    assert second == bare
    assert database.read(lambda unit: unit.change_log.page(bulk_change_id, last_id, 10)) == []


def test_entries_are_counted_by_row(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given()
    words = [(5, "check: a"), (5, "check: b"), (6, "check: a"), (6, "other"), (None, "check: scan")]
    entries = [ChangeLogEntry(bulk_change_id, row_id, text) for row_id, text in words]
    database.write(lambda unit: unit.change_log.add(entries))

    counted = database.read(lambda unit: list(unit.change_log.count_by_row(bulk_change_id, "check:")))

    assert counted == [(5, 2), (6, 1)]


def test_rows_are_found_by_how_their_log_ends(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given()
    words = [(5, "check: a"), (5, "end"), (6, "end"), (6, "check: b"), (None, "check: scan")]
    entries = [ChangeLogEntry(bulk_change_id, row_id, text) for row_id, text in words]
    database.write(lambda unit: unit.change_log.add(entries))

    found = database.read(lambda unit: list(unit.change_log.rows_ending_in(bulk_change_id, "check:")))

    assert found == [6]
