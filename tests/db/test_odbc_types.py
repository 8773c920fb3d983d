from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from pondctl.db.database import Database
from pondctl.db.dialects import DATETIME, ROW_ID, TEXT, cut
from pondctl.db.odbc_types import keep_long_texts, many_rows_type, one_row_type
from pondctl.db.records import ChangeLogEntry

LONG = "a€😀" * 20_000


@pytest.mark.parametrize(
    ("type_", "alone", "among_many"),
    [
        (ROW_ID, (-5, 0, 0), (-5, 0, 0)),
        (sa.Integer(), (4, 0, 0), (4, 0, 0)),
        (sa.Boolean(), (-7, 0, 0), (-7, 0, 0)),
        (sa.Float(), (8, 0, 0), (8, 0, 0)),
        (sa.Unicode(50), (-9, None, None), (-9, 50, 0)),
        (TEXT, (-9, None, None), (-9, 0, 0)),
        (DATETIME, (-9, None, None), (-9, 40, 0)),
    ],
)
def test_every_parameter_has_a_type_of_its_own(
    type_: TypeEngine[Any], alone: tuple[object, ...], among_many: tuple[object, ...]
) -> None:
    assert one_row_type(type_) == alone
    assert many_rows_type(type_) == among_many


class Told(sqlite3.Cursor):
    """A cursor that remembers what it was told."""

    sizes: list[object] = []  # noqa: RUF012 - one engine in one test

    def setinputsizes(self, sizes: object) -> None:
        Told.sizes.append(sizes)


class Telling(sqlite3.Connection):
    """A connection with such cursors."""

    def cursor(self, factory: Any = Told) -> Any:
        return super().cursor(factory)


def test_free_tds_is_told_which_texts_are_long() -> None:
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(":memory:", factory=Telling))
    keep_long_texts(engine)
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Unicode()), sa.Column("b", sa.Unicode()))
    with engine.begin() as connection:
        table.metadata.create_all(connection)
        connection.execute(sa.insert(table), [{"a": "x", "b": "y"}, {"a": "x", "b": "z"}])
        assert Told.sizes == []
        connection.execute(sa.insert(table), [{"a": "x", "b": "y"}, {"a": None, "b": LONG}])
        connection.execute(sa.insert(table).values(a=LONG, b=None))
    engine.dispose()

    assert Told.sizes == [[None, (-10, 0, 0)], [(-10, 0, 0), None]]


def test_long_texts_and_nulls_come_back_as_they_were_given(database: Database) -> None:
    entries = [
        ChangeLogEntry(1, None, "first", False, None, LONG, None, None),
        ChangeLogEntry(1, 7, "second", True, "short", None, LONG, "200"),
    ]

    database.write(lambda unit: unit.meta.set("long", LONG))
    database.write(lambda unit: unit.change_log.add(entries))

    assert database.read(lambda unit: unit.meta.get("long")) == LONG
    assert [entry for _, entry in database.read(lambda unit: unit.change_log.page(1, 0, 10))] == entries


def test_a_time_that_was_read_is_equal_to_itself(database: Database) -> None:
    database.write(lambda unit: unit.meta.set("a", "1"))
    meta = database.own_tables.meta
    mine = meta.c.name == "a"
    at = database.read(lambda unit: unit.state.execute(sa.select(meta.c.changed_at).where(mine)).scalar_one())

    same = sa.select(sa.func.count()).select_from(meta).where(mine, meta.c.changed_at == at)
    assert database.read(lambda unit: unit.state.execute(same).scalar_one()) == 1


@pytest.mark.parametrize(
    ("text", "longest", "kept"),
    [
        ("abc", 2, "ab"),
        ("abc", 3, "abc"),
        ("€€€", 2, "€€"),
        ("a😀😀", 3, "a😀"),
        ("😀😀", 3, "😀"),
        ("", 3, ""),
    ],
)
def test_a_text_is_cut_as_sql_server_counts(text: str, longest: int, kept: str) -> None:
    assert cut(text, longest) == kept
