"""`PondDeviceCarrierRatePlan`: what stands at the carrier is what stands here."""

from __future__ import annotations

import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.host_tables import contract_columns
from pondctl.db.rate_plans import Booked
from pondctl.db.step_records import RatePlanRow
from pondctl.db.unit import Unit

A, B = "89148000000000000018", "89148000000000000028"


def row(package_id: str, status: str = "ACTIVE", iccid: str = A, type_id: int | None = 1001) -> RatePlanRow:
    return RatePlanRow(iccid, package_id, type_id, status, 5 << 30, 4)


def save(database: Database, *rows: RatePlanRow) -> None:
    standing: dict[str, list[RatePlanRow]] = {}
    for one in rows:
        standing.setdefault(one.iccid, []).append(one)
    database.write(lambda unit: unit.rate_plans.save(standing))


def everything(database: Database) -> list[tuple[str, str, str]]:
    def read(unit: Unit) -> list[tuple[str, str, str]]:
        plan = unit.host_tables.rate_plan
        query = sa.select(plan["ICCID"], plan["PackageId"], plan["Status"]).order_by(plan["Id"])
        return [(found[0], found[1], found[2]) for found in unit.host.execute(query)]

    return database.read(read)


def test_a_package_is_written_once_however_often_it_is_saved(database: Database) -> None:
    for _ in range(3):
        save(database, row("p"), row("q", "TERMINATED"))

    assert everything(database) == [(A, "p", "ACTIVE"), (A, "q", "TERMINATED")]


def test_a_package_that_changed_changes_here(database: Database) -> None:
    save(database, row("old"), row("other", iccid=B))
    save(database, row("old", "TERMINATED"), row("new"))

    assert everything(database) == [
        (A, "old", "TERMINATED"),
        (B, "other", "ACTIVE"),
        (A, "new", "ACTIVE"),
    ]


def test_what_the_carrier_does_not_list_any_more_is_not_active(database: Database) -> None:
    save(database, row("gone"), row("kept"))
    save(database, row("kept"))

    assert everything(database) == [(A, "gone", "TERMINATED"), (A, "kept", "ACTIVE")]


def test_a_sim_that_holds_nothing_has_nothing_active(database: Database) -> None:
    save(database, row("gone"))
    database.write(lambda unit: unit.rate_plans.save({A: []}))

    assert everything(database) == [(A, "gone", "TERMINATED")]


def test_rows_that_a_host_doubled_change_together(database: Database) -> None:
    def double(unit: Unit) -> None:
        plan = unit.host_tables.rate_plan
        columns = [plan[name] for name in contract_columns("PondDeviceCarrierRatePlan") if name != "Id"]
        unit.host.execute(sa.insert(plan.table).inline().from_select(columns, sa.select(*columns)))

    save(database, row("p"))
    database.write(double)

    save(database, row("p", "TERMINATED"))

    assert everything(database) == [(A, "p", "TERMINATED")] * 2


def test_a_package_of_no_readable_type_is_not_invented(database: Database) -> None:
    save(database, row("p", type_id=None))

    assert everything(database) == []


def test_active_ones_are_found_by_device(database: Database) -> None:
    save(database, row("p"), row("q", "TERMINATED"), row("r", iccid=B))

    assert database.read(lambda unit: unit.rate_plans.booked([A, B])) == {
        A: Booked(4, frozenset({"p"})),
        B: Booked(4, frozenset({"r"})),
    }


def test_a_row_whose_iccid_the_host_has_padded_is_the_devices_own(database: Database) -> None:
    save(database, row("p", iccid=f"{A}F"))

    assert database.read(lambda unit: unit.rate_plans.booked([A])) == {A: Booked(4, frozenset({"p"}))}
    save(database, row("p", "TERMINATED"))
    assert everything(database) == [(f"{A}F", "p", "TERMINATED")]


def test_the_provider_is_that_of_the_newest_row(database: Database) -> None:
    save(database, row("p"))
    save(database, RatePlanRow(A, "q", 1001, "ACTIVE", None, 9), row("p"))

    booked = database.read(lambda unit: unit.rate_plans.booked([A, B]))
    assert booked == {A: Booked(9, frozenset({"p", "q"}))}
