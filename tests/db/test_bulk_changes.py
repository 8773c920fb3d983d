from __future__ import annotations

import pytest

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import NotFoundError
from pondctl.models import BulkStatus
from tests.db.conftest import GivenBulkChange, RowsOf


def test_a_header_comes_back_as_it_was_written(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given(provider=7)

    header = database.read(lambda unit: unit.bulk_changes.get(bulk_change_id))

    assert (header.id, header.service_provider_id, header.status) == (bulk_change_id, 7, "NEW")
    assert (header.change_request_type, header.created_by) == ("StatusUpdate", "somebody")
    assert header.created_date is not None
    assert header.processed_date is None


def test_an_unknown_header_is_named_with_a_way_to_find_others(database: Database) -> None:
    with pytest.raises(NotFoundError, match="999") as caught:
        database.read(lambda unit: unit.bulk_changes.get(999))
    assert "bulk list" in (caught.value.hint or "")


def test_a_summary_counts_what_the_rows_say(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk_change_id = given("8901", "8902", "8903")
    first, second, _ = (row.id for row in rows_of(bulk_change_id))

    def settle(unit: Unit) -> None:
        unit.device_changes.set_active([(first, "12015550123")])
        unit.device_changes.settle_failed([(second, "not_found: no such device")])

    database.write(settle)
    summary = database.read(lambda unit: unit.bulk_changes.summary(bulk_change_id))

    assert (summary.devices, summary.settled, summary.with_errors, summary.without_msisdn) == (3, 2, 1, 2)


def test_a_header_without_rows_has_counts_of_zero(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given()

    summary = database.read(lambda unit: unit.bulk_changes.summary(bulk_change_id))

    assert (summary.devices, summary.settled) == (0, 0)


def test_lists_are_newest_first_and_can_be_narrowed(database: Database, given: GivenBulkChange) -> None:
    old, middle, new = given(provider=2), given(provider=4), given(provider=2)
    database.write(lambda unit: unit.bulk_changes.set_status(middle, BulkStatus.PROCESSED))

    def ids(**how: object) -> list[int]:
        found = database.read(lambda unit: unit.bulk_changes.list_summaries(**how))
        return [summary.bulk_change.id for summary in found]

    assert ids() == [new, middle, old]
    assert ids(limit=2) == [new, middle]
    assert ids(status="PROCESSED") == [middle]
    assert ids(open_only=True) == [new, old]
    assert ids(service_provider_ids=[4]) == [middle]
    assert ids(before_id=new) == [middle, old]


def test_a_status_moves_only_from_where_it_may(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given()

    def move(status: BulkStatus, *source: BulkStatus) -> bool:
        return database.write(
            lambda unit: unit.bulk_changes.set_status(bulk_change_id, status, from_statuses=source or None)
        )

    assert move(BulkStatus.PROCESSING, BulkStatus.NEW)
    assert not move(BulkStatus.PROCESSED, BulkStatus.NEW)
    assert move(BulkStatus.PROCESSED)
    assert not move(BulkStatus.PROCESSED), "a second run changes nothing"
    header = database.read(lambda unit: unit.bulk_changes.get(bulk_change_id))
    assert header.status == "PROCESSED"
    assert header.processed_date is not None


def test_only_the_headers_that_exist_are_found(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given()

    found = database.read(lambda unit: unit.bulk_changes.find([bulk_change_id, 10**9]))

    assert list(found) == [bulk_change_id]


def test_open_headers_are_counted(database: Database, given: GivenBulkChange) -> None:
    ended = given()
    given()
    database.write(lambda unit: unit.bulk_changes.set_status(ended, BulkStatus.ERROR))

    assert database.read(lambda unit: unit.bulk_changes.count_open()) == 1
