"""Cuts work into statements that every server takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from pondctl.db.dialects import ROWS_A_STATEMENT

T = TypeVar("T")
Writing: TypeAlias = sa.Insert | sa.Update | sa.Delete
_Row: TypeAlias = Mapping[str, Any]
# The execution option that tells who watches statements what SQL for the driver was made from.
MADE_FROM: Final = "pondctl_made_from"


def chunks(items: Iterable[T], size: int = ROWS_A_STATEMENT) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def execute_many(connection: sa.Connection, statement: Writing, rows: Sequence[_Row]) -> None:
    """Run the statement once for each row, in batches; drivers do not tell how many rows it hit.

    All rows name the same parameters. A statement that is used again is best built once.
    """
    if connection.dialect.name == "sqlite" and len(rows) > 1:
        names = tuple(rows[0])
        sql, cells = _for_sqlite(connection.dialect, statement, names)
        for chunk in chunks(rows):
            values = [tuple([cell(row) for cell in cells]) for row in chunk]
            connection.exec_driver_sql(sql, values, {MADE_FROM: (statement, names)})
        return
    one_by_one = connection.dialect.name == "mssql" and _picks_values(statement)
    for chunk in chunks(rows, 1 if one_by_one else ROWS_A_STATEMENT):
        connection.execute(statement, chunk)


@lru_cache(maxsize=32)
def insert_into(table: sa.Table) -> sa.Insert:
    """For whole rows whose parameters have the columns' names; built once."""
    return sa.insert(table).inline()


def _picks_values(statement: Writing) -> bool:
    """INSERT … SELECT: for many rows at once Microsoft's driver asks the server which types the
    parameters have, and in a list of selected values no server can tell."""
    return isinstance(statement, sa.Insert) and statement.select is not None


_Cell: TypeAlias = Callable[[_Row], Any]


@lru_cache(maxsize=64)
def _for_sqlite(
    dialect: sa.Dialect, statement: Writing, names: tuple[str, ...]
) -> tuple[str, tuple[_Cell, ...]]:
    """The statement for the driver, and what makes its parameters out of a row.

    SQLAlchemy itself takes longer to make a row's parameters than SQLite takes to write the row.
    """
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    if not isinstance(compiled, SQLCompiler) or compiled.positiontup is None:
        raise AssertionError("a statement for SQLite has its parameters in order")
    return str(compiled), tuple(_cell(compiled.binds[name], name, dialect) for name in compiled.positiontup)


def _cell(parameter: sa.BindParameter[Any], name: str, dialect: sa.Dialect) -> _Cell:
    convert = parameter.type.dialect_impl(dialect).bind_processor(dialect)
    if not parameter.required:
        fixed = convert(parameter.value) if convert else parameter.value
        return lambda _row: fixed
    if convert is None:
        return itemgetter(name)
    return lambda row: convert(row[name])
