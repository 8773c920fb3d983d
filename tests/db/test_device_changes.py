from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from tests.db.conftest import GivenBulkChange, RowsOf

SetColumns = Callable[..., None]
RawRow = Callable[[int], dict[str, object]]


def work_ids(database: Database, bulk_change_id: int) -> list[int]:
    page = database.read(lambda unit: unit.device_changes.page_work(bulk_change_id, 0, 100))
    assert len(page) == database.read(lambda unit: unit.device_changes.count_work(bulk_change_id))
    return [change.id for change in page]


@pytest.mark.parametrize(
    ("columns", "is_work"),
    [
        ({}, True),
        ({"IsProcessed": True, "HasErrors": False}, True),
        ({"IsProcessed": True, "HasErrors": None}, True),
        ({"IsProcessed": False, "HasErrors": True}, True),
        ({"IsProcessed": True, "HasErrors": True}, False),
        ({"MSISDN": "12015550123", "IsProcessed": False}, True),
        ({"MSISDN": "12015550123", "IsProcessed": True}, False),
        ({"IsDeleted": True}, False),
    ],
)
def test_work_is_what_lacks_a_number_or_is_not_settled(
    database: Database, given: GivenBulkChange, columns: dict[str, object], is_work: bool
) -> None:
    bulk_change_id = given("89148000001234567898", **columns)
    given("89148000001234567898")

    assert len(work_ids(database, bulk_change_id)) == is_work


def test_work_is_paged_by_id(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given(*(f"89{n:018d}" for n in range(5)))

    def next_page(after_id: int) -> list[int]:
        page = database.read(lambda unit: unit.device_changes.page_work(bulk_change_id, after_id, 2))
        return [change.id for change in page]

    first = next_page(0)
    second = next_page(first[-1])
    seen = [*first, *second, *next_page(second[-1])]

    assert len(seen) == 5
    assert seen == sorted(set(seen))


def test_two_spellings_of_one_device_are_found(database: Database, given: GivenBulkChange) -> None:
    twice = ("89148000001234567898", "8914-8000 0012\u00a03456\t7898F")
    bulk_change_id = given(*twice, "89148000009999999999", None, None)

    found = database.read(lambda unit: list(unit.device_changes.duplicated_iccids(bulk_change_id)))

    assert sorted(found) == sorted(twice)


def test_an_active_device_gets_its_number_and_is_settled(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, raw_row: RawRow
) -> None:
    bulk_change_id = given("8901", IsProcessed=False, HasErrors=None)
    (row,) = rows_of(bulk_change_id)

    database.write(lambda unit: unit.device_changes.set_active([(row.id, "12015550123")]))

    after = raw_row(row.id)
    assert after["MSISDN"] == "12015550123"
    assert (after["Status"], after["IsProcessed"], after["HasErrors"]) == ("PROCESSED", True, False)
    assert after["ProcessedBy"] == "pondctl"
    assert isinstance(after["ProcessedDate"], datetime)
    assert isinstance(after["LastModified"], datetime)


def test_a_number_that_is_there_is_never_replaced(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, raw_row: RawRow
) -> None:
    (row,) = rows_of(given("8901"))
    database.write(lambda unit: unit.device_changes.set_active([(row.id, "12015550123")]))
    before = raw_row(row.id)

    database.write(lambda unit: unit.device_changes.set_active([(row.id, "12015550199")]))

    assert raw_row(row.id) == before


def test_a_settled_row_keeps_its_own_result(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, raw_row: RawRow
) -> None:
    bulk_change_id = given("8901", "8902")
    good, bad = rows_of(bulk_change_id)

    def settle(unit: Unit) -> None:
        unit.device_changes.settle_done([good.id])
        unit.device_changes.settle_failed([(bad.id, "carrier_rejected: no")])

    database.write(settle)
    before = raw_row(good.id), raw_row(bad.id)

    def again(unit: Unit) -> None:
        unit.device_changes.settle_failed([(good.id, "network: late")])
        unit.device_changes.settle_done([bad.id])
        unit.device_changes.note_state([(good.id, "x"), (bad.id, "x")])
        assert unit.device_changes.fail_rest(bulk_change_id, "retries_exhausted") == 0

    database.write(again)

    assert (raw_row(good.id), raw_row(bad.id)) == before
    assert (before[1]["Status"], before[1]["HasErrors"]) == ("API_FAILED", True)
    assert before[1]["StatusDetails"] == "carrier_rejected: no"


def test_a_noted_row_stays_open(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, raw_row: RawRow
) -> None:
    bulk_change_id = given("8901")
    (row,) = rows_of(bulk_change_id)

    database.write(lambda unit: unit.device_changes.note_state([(row.id, "pending activation " * 50)]))

    after = raw_row(row.id)
    assert len(str(after["StatusDetails"])) == 500
    assert (after["Status"], after["IsProcessed"]) == ("NEW", False)
    assert work_ids(database, bulk_change_id) == [row.id]


def test_the_rest_is_refused_in_portions_until_none_is_left(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk_change_id = given("8901", "8902", "8903")
    numbered = given("8904", MSISDN="12015550123")

    def refuse(bulk_change_id: int, **how: object) -> int:
        return database.write(
            lambda unit: unit.device_changes.fail_rest(bulk_change_id, "retries_exhausted: late", **how)
        )

    assert [refuse(bulk_change_id, limit=2) for _ in range(3)] == [2, 1, 0]
    assert {row.status for row in rows_of(bulk_change_id)} == {"API_FAILED"}
    assert refuse(numbered) == 0, "a row with a number never turns to failed by a deadline"
    assert refuse(numbered, only_without_msisdn=False) == 1


def test_unsettled_counts_rows_with_a_number_too(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given("8901", MSISDN="12015550123")

    assert database.read(lambda unit: unit.device_changes.count_unsettled(bulk_change_id)) == 1
    database.write(lambda unit: unit.device_changes.settle_done(work_ids(database, bulk_change_id)))
    assert database.read(lambda unit: unit.device_changes.count_unsettled(bulk_change_id)) == 0


def test_a_failed_row_is_found_and_taken_up_again(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk_change_id = given("8901", "8902")
    failed, done = rows_of(bulk_change_id)

    def settle(unit: Unit) -> None:
        unit.device_changes.settle_failed([(failed.id, "network: cut")])
        unit.device_changes.settle_done([done.id])

    database.write(settle)
    page = database.read(lambda unit: unit.device_changes.page_failed(bulk_change_id, 0, 10))
    assert [change.id for change in page] == [failed.id]

    database.write(lambda unit: unit.device_changes.reopen([failed.id, done.id]))

    states = {row.id: (row.status, row.is_processed, row.has_errors) for row in rows_of(bulk_change_id)}
    assert states == {failed.id: ("PENDING", False, False), done.id: ("PROCESSED", True, False)}


def test_more_ids_than_a_statement_takes_are_split(database: Database, given: GivenBulkChange) -> None:
    bulk_change_id = given(*(f"89{n:018d}" for n in range(2500)))
    page = database.read(lambda unit: unit.device_changes.page(bulk_change_id, 0, 5000))

    database.write(lambda unit: unit.device_changes.settle_done([change.id for change in page]))

    assert database.read(lambda unit: unit.device_changes.count_unsettled(bulk_change_id)) == 0
    iccids = [change.iccid for change in page if change.iccid]
    assert len(database.read(lambda unit: unit.device_changes.find_by_iccid(iccids))) == 2500


def test_nothing_to_write_writes_nothing(database: Database) -> None:
    def nothing(unit: Unit) -> bool:
        unit.device_changes.set_active([])
        unit.device_changes.settle_done([])
        unit.device_changes.settle_failed([])
        unit.device_changes.note_state([])
        return "host" in vars(unit) and unit.host.in_transaction()

    assert database.write(nothing) is False
