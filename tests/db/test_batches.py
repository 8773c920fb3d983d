from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.columns import OwnNames
from pondctl.db.guarded_insert import insert_unless, parameters
from pondctl.db.own_tables import OwnTables
from tests.db.sql_server_words import watched_statements


class _Recorder:
    """A connection that only counts how many rows come at once."""

    def __init__(self, dialect: str) -> None:
        self.dialect = type("Dialect", (), {"name": dialect})
        self.sizes: list[int] = []

    def execute(self, _statement: object, rows: list[dict[str, object]]) -> None:
        self.sizes.append(len(rows))


def sizes(dialect: str, *, picks_values: bool) -> list[int]:
    table = OwnTables(OwnNames(None)).meta
    insert = sa.insert(table).inline()
    if picks_values:
        insert = insert.from_select(["name"], sa.select(sa.bindparam("new", type_=sa.Unicode())))
    connection = _Recorder(dialect)
    execute_many(connection, insert, [{"name": str(n)} for n in range(1200)])  # type: ignore[arg-type]
    return connection.sizes


def test_rows_go_in_batches_that_every_server_takes() -> None:
    assert sizes("mssql", picks_values=False) == [1000, 200]


def test_where_the_driver_would_have_to_guess_types_rows_go_singly() -> None:
    assert sizes("mssql", picks_values=True) == [1] * 1200


def test_nothing_is_cut_from_nothing() -> None:
    assert list(chunks([])) == []
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]


_TABLE = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("at", sa.DateTime()),
    sa.Column("good", sa.Boolean()),
    sa.Column("words", sa.Unicode(50)),
)


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        _TABLE.create(connection)
        yield connection
    engine.dispose()


@pytest.mark.parametrize("how_many", [1, 2, 1200])
def test_sqlite_is_given_what_sqlalchemy_would_give_it(connection: sa.Connection, how_many: int) -> None:
    """Types are converted, parameters stand where they belong, fixed values are in every row."""
    at = datetime(2026, 11, 28, 8, 0, 0, 250_000)
    insert = sa.insert(_TABLE).inline().values(good=True)
    rows: list[dict[str, Any]] = [{"words": f"ü{n}", "at": at, "id": n} for n in range(how_many)]
    execute_many(connection, insert, rows)
    update = (
        sa.update(_TABLE)
        .where(_TABLE.c.id == sa.bindparam("named"), _TABLE.c.good == sa.true(), _TABLE.c.words != "ü0")
        .values(words=sa.bindparam("told"), good=False)
    )
    execute_many(connection, update, [{"told": None, "named": n} for n in range(how_many)])
    found = connection.execute(sa.select(_TABLE).order_by(_TABLE.c.id)).all()
    expected = [(0, at, True, "ü0"), *((n, at, False, None) for n in range(1, how_many))]
    assert [tuple(row) for row in found] == expected


def test_a_statement_is_made_again_for_other_parameters(connection: sa.Connection) -> None:
    insert = sa.insert(_TABLE).inline()
    execute_many(connection, insert, [{"id": 1}, {"id": 2}])
    execute_many(connection, insert, [{"id": 3, "words": "a"}, {"id": 4, "words": "b"}])
    found = connection.execute(sa.select(_TABLE.c.id, _TABLE.c.words).order_by(_TABLE.c.id)).all()
    assert [tuple(row) for row in found] == [(1, None), (2, None), (3, "a"), (4, "b")]


def test_what_goes_past_sqlalchemy_is_held_against_sql_server_too(connection: sa.Connection) -> None:
    update = sa.update(_TABLE).where(_TABLE.c.id == sa.bindparam("named"))
    update = update.values(words=sa.func.strftime("%Y", sa.bindparam("when")))
    with watched_statements(), pytest.raises(AssertionError, match="strftime"):
        execute_many(connection, update, [{"named": 1, "when": "2026"}, {"named": 2, "when": "2027"}])


TEXTS = (
    "",
    "a'b\"c\\d",
    "a\n\tb\r",
    "ü\N{GRINNING FACE}",
    "\x01\x7f",
    "a\0b",
    "\\u0000",
    "?",
    "null",
    "[1]",
    "12",
    " x ",
)


@pytest.mark.parametrize("text", TEXTS)
def test_sqlite_keeps_every_text_as_it_is(connection: sa.Connection, text: str) -> None:
    execute_many(connection, sa.insert(_TABLE).inline(), [{"id": n, "words": text} for n in (1, 2)])
    assert connection.execute(sa.select(_TABLE.c.words)).scalars().all() == [text, text]
    update = sa.update(_TABLE).where(_TABLE.c.id == sa.bindparam("named")).values(words=sa.bindparam("told"))
    execute_many(connection, update, [{"named": n, "told": text + "!"} for n in (1, 2)])
    assert connection.execute(sa.select(_TABLE.c.words)).scalars().all() == [text + "!"] * 2


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0, 1])
def test_sqlite_keeps_every_number_as_it_is(connection: sa.Connection, number: int) -> None:
    execute_many(connection, sa.insert(_TABLE).inline(), [{"id": number}, {"id": 5}])
    assert connection.execute(sa.select(_TABLE.c.id).where(_TABLE.c.id != 5)).scalars().all() == [number]


def test_a_name_may_have_a_question_mark(connection: sa.Connection) -> None:
    odd = sa.Table("odd?", sa.MetaData(), sa.Column("Id", sa.Integer()), sa.Column("Told?", sa.Unicode(9)))
    odd.create(connection)
    execute_many(connection, sa.insert(odd).inline(), [{"Id": n, "Told?": f"{n}"} for n in (1, 2)])
    update = sa.update(odd).where(odd.c.Id == sa.bindparam("named")).values({odd.c[1]: sa.bindparam("told")})
    execute_many(connection, update, [{"named": 1, "told": "x"}, {"named": 2, "told": "y"}])
    assert connection.execute(sa.select(odd.c[1]).order_by(odd.c.Id)).scalars().all() == ["x", "y"]


def test_what_stands_in_the_way_of_one_row_is_no_matter_of_the_others(connection: sa.Connection) -> None:
    other = _TABLE.alias()
    there = sa.exists().where(other.c.id == sa.bindparam("taken", type_=sa.Integer()))
    insert = insert_unless(_TABLE, ("id", "words"), {"good": sa.true()}, there)
    rows = [parameters({"id": n, "words": f"{n}"}) | {"taken": n} for n in range(4)]
    execute_many(connection, insert, rows[1:3])
    execute_many(connection, insert, rows)
    assert connection.execute(sa.select(_TABLE.c.id).order_by(_TABLE.c.id)).scalars().all() == [0, 1, 2, 3]
