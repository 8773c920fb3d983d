"""Operators' locks."""

from __future__ import annotations

from pondctl.db.database import Database

A, B = "89148000000000000018", "89148000000000000028"


def test_a_lock_stands_until_it_is_taken_off(database: Database) -> None:
    assert database.write(lambda unit: unit.locks.add(A, "lifts", "me"))

    found = database.read(lambda unit: unit.locks.find([A, B]))
    assert set(found) == {A}
    assert (found[A].reason, found[A].locked_by) == ("lifts", "me")
    assert database.write(lambda unit: unit.locks.remove(A))
    assert not database.write(lambda unit: unit.locks.remove(A))
    assert database.read(lambda unit: unit.locks.find([A])) == {}


def test_the_first_reason_stays(database: Database) -> None:
    database.write(lambda unit: unit.locks.add(A, "lifts", "me"))

    assert not database.write(lambda unit: unit.locks.add(A, "other", "you"))
    assert database.read(lambda unit: unit.locks.find([A]))[A].reason == "lifts"


def test_many_devices_are_looked_up_in_statements_that_every_server_takes(database: Database) -> None:
    database.write(lambda unit: unit.locks.add(A, "lifts", "me"))
    many = [f"89148{number:013d}" for number in range(3000)]

    assert set(database.read(lambda unit: unit.locks.find([*many, A]))) == {A}
