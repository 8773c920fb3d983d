"""What `reconcile` reads and mends: rows, package rows, lost writes; each only while nothing has moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.package_rows import PackageFix
from pondctl.db.records import NewDeviceChange
from pondctl.db.row_fixes import RowFix, SeenRow
from pondctl.db.step_records import (
    NewClaim,
    NewWrite,
    RatePlanRow,
    StepKey,
    StepKind,
    StepState,
    Subject,
    WriteEnd,
)
from pondctl.db.unit import Unit
from pondctl.models import BulkStatus
from tests.db.conftest import GivenBulkChange, RowsOf
from tests.db.test_runs import claim

ICCID, OTHER, NUMBER = "89148000000000000018", "89148000000000000026", "12015550123"
LONG_AGO = datetime(2020, 1, 1)
SetColumns = Callable[..., None]
OPEN = SeenRow(None, False, False)


def page(database: Database, since: datetime = LONG_AGO, **which: int) -> list[tuple[str | None, int]]:
    """(ICCID, whether it moves) of all rows."""
    rows = database.read(lambda unit: unit.compared_rows.page(0, 100, since, **which))
    return [(row.iccid, row.moving) for row in rows]


def test_every_row_that_is_not_deleted_is_read_in_pages_by_id(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, set_columns: SetColumns
) -> None:
    first, second = given(ICCID, None), given(OTHER, "89148000000000000034")
    set_columns([rows_of(second)[1].id], IsDeleted=True)

    assert page(database) == [(ICCID, 0), (None, 0), (OTHER, 0)]
    [row] = database.read(lambda unit: unit.compared_rows.page(rows_of(first)[1].id, 100, LONG_AGO))
    assert (row.iccid, row.service_provider_id, row.has_errors) == (OTHER, 2, False)
    assert len(database.read(lambda unit: unit.compared_rows.page(0, 2, LONG_AGO))) == 2


def test_a_row_without_a_bulk_change_has_no_provider(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, set_columns: SetColumns
) -> None:
    bulk = given(ICCID)
    set_columns([rows_of(bulk)[0].id], BulkChangeId=4711)

    [row] = database.read(lambda unit: unit.compared_rows.page(0, 10, LONG_AGO))
    assert (row.service_provider_id, row.bulk_change_id) == (None, 4711)


def test_of_one_bulk_change_only_rows_are_read_that_are_the_newest_of_their_device(
    database: Database, given: GivenBulkChange
) -> None:
    bulk = given(ICCID, OTHER)
    newer = given(ICCID)

    assert page(database, bulk_change_id=bulk) == [(OTHER, 0)]
    assert page(database, bulk_change_id=newer) == [(ICCID, 0)]


def test_a_row_moves_when_it_was_written_to_since_but_not_in_the_future(
    database: Database, given: GivenBulkChange, rows_of: RowsOf, set_columns: SetColumns
) -> None:
    bulk = given(ICCID, OTHER, "89148000000000000034")
    now = database.read(lambda unit: unit.now())
    ids = [row.id for row in rows_of(bulk)]
    set_columns(ids[:1], LastModified=now - timedelta(seconds=30))
    set_columns(ids[1:2], LastModified=now + timedelta(days=9))
    set_columns(ids[2:], LastModified=now - timedelta(minutes=9))

    assert [moving for _, moving in page(database, now - timedelta(minutes=1))] == [1, 0, 0]


def test_unsettled_rows_are_counted_for_many_bulk_changes_at_once(
    database: Database, given: GivenBulkChange
) -> None:
    one, two, three = given(ICCID, OTHER), given(ICCID, IsProcessed=True), given(ICCID, IsDeleted=True)

    assert database.read(lambda unit: unit.compared_rows.unsettled_counts([one, two, three])) == {one: 2}


def settle(database: Database, *fixes: RowFix) -> set[int]:
    return database.write(lambda unit: unit.row_fixes.settle(fixes))


@pytest.mark.parametrize("errors", [False, True, None])
@pytest.mark.parametrize("processed", [False, True])
@pytest.mark.parametrize("number", [None, "1", NUMBER])
def test_a_row_is_settled_with_its_number_from_whatever_was_seen(
    database: Database,
    given: GivenBulkChange,
    rows_of: RowsOf,
    number: str | None,
    processed: bool,
    errors: bool | None,
) -> None:
    bulk = given(ICCID, IsProcessed=processed, HasErrors=errors, MSISDN=number)
    row_id = rows_of(bulk)[0].id
    fix = RowFix(row_id, SeenRow(number, processed, errors), NUMBER, "active")

    assert settle(database, fix) == {row_id}

    [row] = rows_of(bulk)
    assert (row.msisdn, row.is_processed, row.has_errors) == (NUMBER, True, False)
    assert (row.status, row.status_details, row.processed_by) == (BulkStatus.PROCESSED, "active", "pondctl")


@pytest.mark.parametrize(
    "moved",
    [
        {"MSISDN": "2"},
        {"IsProcessed": True},
        {"HasErrors": True},
        {"HasErrors": None},
        {"IsDeleted": True},
    ],
    ids=str,
)
def test_a_row_that_has_moved_since_it_was_seen_is_left_as_it_is(
    database: Database,
    given: GivenBulkChange,
    rows_of: RowsOf,
    set_columns: SetColumns,
    raw_row: Callable[[int], dict[str, object]],
    moved: dict[str, object],
) -> None:
    bulk = given(ICCID, OTHER)
    left, right = (row.id for row in rows_of(bulk))
    set_columns([left], **moved)
    before = raw_row(left)

    assert settle(database, RowFix(left, OPEN, NUMBER, None), RowFix(right, OPEN, "3", None)) == {right}

    assert raw_row(left) == before
    assert raw_row(right)["MSISDN"] == "3"


def test_a_row_can_be_settled_and_keep_its_number(
    database: Database, given: GivenBulkChange, rows_of: RowsOf
) -> None:
    bulk = given(ICCID, MSISDN=NUMBER)
    row_id = rows_of(bulk)[0].id

    assert settle(database, RowFix(row_id, SeenRow(NUMBER, False, False), None, None)) == {row_id}
    assert rows_of(bulk)[0].msisdn == NUMBER


def new_package(package_id: str, status: str = "ACTIVE", iccid: str = ICCID) -> RatePlanRow:
    return RatePlanRow(iccid, package_id, 1001, status, None, 4)


def test_packages_without_a_row_are_written_once(database: Database) -> None:
    rows = [new_package("a"), new_package("b"), new_package("a", iccid=OTHER)]

    added = database.write(lambda unit: unit.package_rows.add_missing(rows))
    again = database.write(lambda unit: unit.package_rows.add_missing(rows))

    assert (added, again) == ({(ICCID, "a"), (ICCID, "b"), (OTHER, "a")}, set())
    found = database.read(lambda unit: unit.package_rows.of([ICCID]))
    assert [(row.package_id, row.status) for row in found] == [("a", "ACTIVE"), ("b", "ACTIVE")]
    assert len(database.read(lambda unit: unit.package_rows.page(0, 2))) == 2


def test_rows_are_found_as_sim_storage_pads_the_iccid(database: Database) -> None:
    rows = [new_package("a", iccid=f"{ICCID}F"), new_package("b", iccid=f"{ICCID[:4]} {ICCID[4:]}")]
    database.write(lambda unit: unit.package_rows.add_missing(rows))

    found = database.read(lambda unit: unit.package_rows.of([ICCID]))
    everything = database.read(lambda unit: unit.package_rows.page(0, 9))

    assert [row.package_id for row in found] == ["a"]
    assert [row.is_found for row in everything] == [True, False]


def test_a_package_row_is_corrected_only_while_it_says_what_was_seen(database: Database) -> None:
    database.write(lambda unit: unit.package_rows.add_missing([new_package("a"), new_package("b")]))
    one, two = database.read(lambda unit: unit.package_rows.of([ICCID]))
    fixes = [
        PackageFix(one.id, "ACTIVE", "TERMINATED", None),
        PackageFix(two.id, "NOT_ACTIVE", "ACTIVE", 9),
    ]

    assert database.write(lambda unit: unit.package_rows.correct(fixes)) == {one.id}

    now = database.read(lambda unit: unit.package_rows.of([ICCID]))
    assert [(row.status, row.package_type_id) for row in now] == [("TERMINATED", 1001), ("ACTIVE", 1001)]


def write(database: Database, run_id: str, state: StepState | None) -> None:
    """A carrier write, and what became of it."""
    key = StepKey(run_id, 2)
    subject = Subject("activate", ICCID, 4, 42)
    intent = NewWrite(key, StepKind.ADD_PACKAGE, subject, {"package_type_id": 1001, "seen": ["x"]})

    def work(unit: Unit) -> None:
        unit.steps.add_intents([intent])
        if state is not None:
            unit.steps.close([WriteEnd(key, state)])

    database.write(work)


def test_lost_writes_are_read_over_all_devices_and_resolved_ones_are_not(database: Database) -> None:
    for run_id, state in (("open", None), ("lost", StepState.UNKNOWN), ("done", StepState.DONE)):
        claim(database, run_id, target=None)
        write(database, run_id, state)

    found = database.read(lambda unit: unit.open_intents.page(0, 10))

    assert [(each.write.key.run_id, each.state) for each in found] == [("open", "open"), ("lost", "unknown")]
    assert (found[0].write.intent["seen"], found[0].bulk_change_id) == (["x"], 42)
    assert database.read(lambda unit: unit.open_intents.page(found[1].id, 10)) == []


def test_a_device_is_in_work_while_a_live_run_holds_it_or_since_one_touched_it(database: Database) -> None:
    claim(database, "run", target=None)
    held = NewClaim(StepKey("run", 1), f"pond:1:{ICCID}", Subject("activate", ICCID, 4), refuse_locked=False)
    database.write(lambda unit: unit.claims.claim([held]))
    now = database.read(lambda unit: unit.now())

    def in_work(since: datetime) -> set[str]:
        claims = [f"pond:1:{iccid}" for iccid in (ICCID, OTHER)]
        return database.read(lambda unit: unit.open_intents.in_work(claims, [ICCID, OTHER], since))

    assert in_work(now + timedelta(minutes=1)) == {ICCID}
    run = database.own_tables.run
    over = sa.update(run).values(lease_until=LONG_AGO)
    database.write(lambda unit: unit.state.execute(over).close())
    assert in_work(now + timedelta(minutes=1)) == set()
    assert in_work(now - timedelta(minutes=1)) == {ICCID}


def test_bulk_changes_are_leased_while_a_live_run_holds_them(database: Database) -> None:
    claim(database, "one", target="bulk_change:42")
    claim(database, "two", target="reconcile")

    assert database.read(lambda unit: unit.open_intents.leased_bulk_changes()) == {42}


def test_checks_of_devices_are_kept_once_each_with_the_latest_time(database: Database) -> None:
    database.write(lambda unit: unit.device_checks.mark([ICCID, OTHER]))
    before = {c.iccid: c.checked_at for c in database.read(lambda unit: unit.device_checks.page(0, 9))}
    checks = database.own_tables.device_check
    old = sa.update(checks).values(checked_at=LONG_AGO)
    database.write(lambda unit: unit.state.execute(old).close())
    database.write(lambda unit: unit.device_checks.mark([OTHER]))

    after = {c.iccid: c.checked_at for c in database.read(lambda unit: unit.device_checks.page(0, 9))}

    assert before.keys() == after.keys() == {ICCID, OTHER}
    assert after[ICCID] == LONG_AGO
    assert after[OTHER] >= before[OTHER]


def test_log_entries_about_nothing_are_counted(database: Database, given: GivenBulkChange) -> None:
    from pondctl.db.records import ChangeLogEntry

    bulk = given(ICCID)
    entries = [
        ChangeLogEntry(bulk, None, "a"),
        ChangeLogEntry(4711, None, "b"),
        ChangeLogEntry(4711, None, "c"),
    ]
    database.write(lambda unit: unit.change_log.add(entries))

    assert database.read(lambda unit: list(unit.compared_rows.logged_for_nothing())) == [(4711, 2)]


def test_headers_are_read_in_pages(database: Database, given: GivenBulkChange) -> None:
    one, two = given(ICCID), given(provider=4)

    assert database.read(lambda unit: unit.compared_rows.headers(0, 10)) == [(one, "NEW", 2), (two, "NEW", 4)]
    assert database.read(lambda unit: unit.compared_rows.headers(one, 10)) == [(two, "NEW", 4)]


def test_a_row_that_somebody_else_wrote_to_meanwhile_was_not_mended(sqlite_url: str) -> None:
    database = Database.open(sqlite_url)
    # Stands for a writer in between, whom SQL Server lets in.
    table, plan = '"M2M_DeviceChange"', '"PondDeviceCarrierRatePlan"'
    for name, after, change in (
        ("other_number", table, f"{table} SET \"MSISDN\" = '2'"),
        ("other_status", plan, f"{plan} SET \"Status\" = 'SUSPENDED'"),
    ):
        trigger = f'CREATE TRIGGER {name} AFTER UPDATE ON {after} BEGIN UPDATE {change} WHERE "Id" = 2; END'
        database.write(lambda unit, trigger=trigger: unit.host.exec_driver_sql(trigger).close())
    rows = [NewDeviceChange(iccid, None) for iccid in (ICCID, OTHER)]
    database.write(lambda unit: unit.device_changes.add(1, rows, created_by="somebody"))
    database.write(lambda unit: unit.package_rows.add_missing([new_package("a"), new_package("b")]))
    fixes = [PackageFix(row_id, "ACTIVE", "TERMINATED", None) for row_id in (1, 2)]

    assert settle(database, *(RowFix(row_id, OPEN, NUMBER, None) for row_id in (1, 2))) == {1}
    assert database.write(lambda unit: unit.package_rows.correct(fixes)) == {1}
    database.close()
