from __future__ import annotations

from pondctl.db.database import Database


def test_a_fact_is_kept_and_replaced(database: Database) -> None:
    assert database.read(lambda unit: unit.meta.account_size("0000123456-00001")) is None

    for size in (10, 20):
        database.write(lambda unit, size=size: unit.meta.set_account_size("0000123456-00001", size))

    assert database.read(lambda unit: unit.meta.account_size("0000123456-00001")) == 20
    assert database.read(lambda unit: unit.meta.account_size("another")) is None
