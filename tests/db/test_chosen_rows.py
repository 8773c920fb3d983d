from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry
from pondctl.errors import ConfigurationError
from tests.db.conftest import GivenBulkChange, RowsOf

SetColumns = Callable[..., None]
A, B, C = (f"8914800000{number:010d}" for number in range(3))
FAILED = {"IsProcessed": True, "HasErrors": True}


def ids_of(rows: RowsOf, bulk_change_id: int) -> list[int]:
    return [row.id for row in rows(bulk_change_id)]


def test_failed_rows_are_paged_over_one_bulk_change_or_all(
    database: Database, given: GivenBulkChange
) -> None:
    one, two = given(A, B, **FAILED), given(C, **FAILED)
    given(A)
    given(B, IsDeleted=True, **FAILED)

    def page(bulk_change_id: int | None, after: int, limit: int) -> list[str | None]:
        found = database.read(lambda unit: unit.chosen_rows.page_failed(bulk_change_id, after, limit))
        return [row.iccid for row in found]

    assert page(one, 0, 10) == [A, B]
    assert page(two, 0, 10) == [C]
    first = database.read(lambda unit: unit.chosen_rows.page_failed(None, 0, 2))
    assert [row.iccid for row in first] == [A, B]
    assert page(None, first[-1].id, 2) == [C]


def test_failed_since_looks_at_the_last_change_and_then_at_the_end(
    database: Database, given: GivenBulkChange
) -> None:
    now = database.read(lambda unit: unit.now())
    hour = timedelta(hours=1)
    given(A, LastModified=now, ProcessedDate=now - 9 * hour, **FAILED)
    given(B, LastModified=None, ProcessedDate=now - hour, **FAILED)
    given(C, LastModified=None, ProcessedDate=None, **FAILED)

    def since(when: datetime) -> list[str | None]:
        found = database.read(lambda unit: unit.chosen_rows.page_failed(None, 0, 10, since=when))
        return [row.iccid for row in found]

    assert since(now - 2 * hour) == [A, B]
    assert since(now - hour / 2) == [A]


def test_when_a_row_failed_is_unknown_where_no_column_says_it(sqlite_url: str) -> None:
    names = {"M2M_DeviceChange.LastModified": "", "M2M_DeviceChange.ProcessedDate": ""}
    database = Database.open(sqlite_url, names=names)

    assert database.read(lambda unit: unit.chosen_rows.page_failed(None, 0, 10)) == []
    with pytest.raises(ConfigurationError, match="LastModified"):
        database.read(lambda unit: unit.chosen_rows.page_failed(None, 0, 10, since=datetime(2026, 11, 1)))
    database.close()


def test_chosen_rows_are_read_by_what_they_are(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, set_columns: SetColumns
) -> None:
    bulk_change_id, other = given(A, B, C), given(A)
    ids = [*ids_of(rows_of, bulk_change_id), *ids_of(rows_of, other)]
    set_columns(ids[:1], **FAILED)
    set_columns(ids[1:2], IsProcessed=True, HasErrors=False)

    def read(name: str) -> list[str | None]:
        found = database.read(lambda unit: getattr(unit.chosen_rows, name)(bulk_change_id, ids))
        return [row.iccid for row in found]

    assert read("among") == [A, B, C]
    assert read("failed_among") == [A]
    assert read("work_among") == [B, C]
    unsettled = database.read(lambda unit: unit.chosen_rows.unsettled_among(ids))
    assert [row.id for row in unsettled] == ids[2:]


def test_a_reopened_row_is_taken_once(database: Database, given: GivenBulkChange, rows_of: RowsOf) -> None:
    bulk_change_id = given(A, StatusDetails="network: x", **FAILED)
    ids = ids_of(rows_of, bulk_change_id)

    for _ in range(2):
        database.write(lambda unit: unit.device_changes.reopen(ids))

    [row] = rows_of(bulk_change_id)
    assert (row.status, row.is_processed, row.has_errors) == ("PENDING", False, False)
    assert row.status_details == "network: x"
    assert database.read(lambda unit: unit.chosen_rows.failed_among(bulk_change_id, ids)) == []


@pytest.mark.parametrize("spelling", [A, f"{A}F", f"{A}f"])
def test_rows_are_found_by_their_device_in_any_state(
    database: Database, given: GivenBulkChange, spelling: str
) -> None:
    unsettled = given(spelling)
    settled = given(spelling, provider=4, **FAILED)
    given(B)

    found = list(database.read(lambda unit: list(unit.chosen_rows.naming([A]))))

    assert [(row.bulk_change_id, row.service_provider_id, row.is_open) for row in found] == [
        (unsettled, 2, True),
        (settled, 4, False),
    ]


@pytest.mark.parametrize("spelling", [f" {A[:4]}-{A[4:]}F ", f"{A[:10]}\u00a0{A[10:]}", f"-{A}", f"{A}\t"])
def test_odd_spellings_are_found_while_the_row_is_open(
    database: Database, given: GivenBulkChange, spelling: str
) -> None:
    bulk_change_id = given(spelling)
    given(spelling, **FAILED)
    given(A, f"{A}F")
    ended = given(spelling)
    database.write(lambda unit: unit.bulk_changes.set_status(ended, "PROCESSED"))

    found = database.read(lambda unit: unit.chosen_rows.page_oddly_spelt(0, 10))

    assert [(row.bulk_change_id, row.iccid, row.is_open) for row in found] == [
        (bulk_change_id, spelling, True)
    ]
    assert database.read(lambda unit: unit.chosen_rows.page_oddly_spelt(found[0].id, 10)) == []


def test_a_row_that_lacks_its_number_is_open_while_its_bulk_change_is(
    database: Database, given: GivenBulkChange
) -> None:
    given(A, IsProcessed=True, HasErrors=False)
    ended = given(A, IsProcessed=True, HasErrors=False)
    database.write(lambda unit: unit.bulk_changes.set_status(ended, "PROCESSED"))

    found = database.read(lambda unit: list(unit.chosen_rows.naming([A])))

    assert [row.is_open for row in found] == [True, False]


def test_many_devices_are_asked_for_in_few_statements(database: Database, given: GivenBulkChange) -> None:
    iccids = [f"89{number:018d}" for number in range(2500)]
    given(*iccids)

    found = database.read(lambda unit: list(unit.chosen_rows.naming(iccids)))

    assert [row.iccid for row in found] == iccids


def test_the_log_says_how_often_and_what_came_last(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk_change_id = given(A, B, C)
    first, second, third = ids_of(rows_of, bulk_change_id)
    entries = [(first, "try: 2"), (first, "done"), (first, "try: 3"), (second, "try: 2"), (second, "done"),
               (third, "nothing"), (None, "try: of nobody"), (third, "TRIED")]  # fmt: skip

    def write(row_id: int | None, words: str) -> None:
        database.write(lambda unit: unit.change_log.add([ChangeLogEntry(bulk_change_id, row_id, words)]))

    for row_id, words in entries:
        write(row_id, words)

    counted = database.read(lambda unit: list(unit.change_log.count_by_row(bulk_change_id, "try: ")))
    ending = database.read(lambda unit: list(unit.change_log.rows_ending_in(bulk_change_id, "try: ")))
    rest = database.read(
        lambda unit: list(unit.change_log.rows_ending_in(bulk_change_id, "try: ", ignoring="do%"))
    )
    assert counted == [(first, 2), (second, 1)]
    assert ending == [first]
    assert rest == [first, second]
