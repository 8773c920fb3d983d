"""Cuts work into statements that every server takes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from pondctl.db.dialects import ROWS_A_STATEMENT

T = TypeVar("T")
Writing: TypeAlias = sa.Insert | sa.Update
_Row: TypeAlias = Mapping[str, Any]
# SQLite has no such limit; only memory speaks against more.
ROWS_A_TEXT: Final = 5000
# The execution option that tells who watches statements what SQL for the driver was made from.
MADE_FROM: Final = "pondctl_made_from"


def chunks(items: Iterable[T], size: int = ROWS_A_STATEMENT) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def execute_many(connection: sa.Connection, statement: Writing, rows: Sequence[_Row]) -> None:
    """Run the statement once for each row, in batches; drivers do not tell how many rows it hit.

    All rows name the same parameters, and no row depends on what another one writes. A statement that is
    used again is best built once; an UPDATE says which row it means.
    """
    if connection.dialect.name == "sqlite" and len(rows) > 1:
        names = tuple(rows[0])
        sql, cells = _for_sqlite(connection.dialect, statement, names)
        for chunk in chunks(rows, ROWS_A_TEXT):
            values = json.dumps([[cell(row) for cell in cells] for row in chunk], ensure_ascii=False)
            if _NUL in values:  # SQLite ends a text of JSON there
                connection.execute(statement, chunk)
            else:
                connection.exec_driver_sql(sql, (values,), {MADE_FROM: (statement, names)})
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


_NUL: Final = "\\u0000"
_GIVEN: Final = "FROM json_each(?) AS given"
# A name or a text in quotes may have a question mark, too.
_PARAMETER: Final = re.compile(r""" "(?:[^"]|"")*" | '(?:[^']|'')*' | \? """, re.VERBOSE)
_VALUES: Final = re.compile(r"(?P<into>INSERT INTO .+?\)) VALUES \((?P<cells>.*)\)", re.DOTALL)
# The first one belongs to the statement itself: none of ours looks something up in what it writes.
_WHERE: Final = re.compile(r"(\s+WHERE\s+)")
_Cell: TypeAlias = Callable[[_Row], Any]


@lru_cache(maxsize=64)
def _for_sqlite(
    dialect: sa.Dialect, statement: Writing, names: tuple[str, ...]
) -> tuple[str, tuple[_Cell, ...]]:
    """One statement for all rows, which come as JSON in its one parameter, and what makes such a row.

    Row by row takes longer, and the interpreter is given away and waited for again with each of them.
    """
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    if not isinstance(compiled, SQLCompiler) or compiled.positiontup is None:
        raise AssertionError("a statement for SQLite has its parameters in order")
    cells = tuple(_cell(compiled.binds[name], name, dialect) for name in compiled.positiontup)
    return _over_rows(str(compiled)), cells


def _over_rows(sql: str) -> str:
    """The statement with a row of JSON for each of its parameters: UPDATE, INSERT … VALUES or … SELECT."""
    place = itertools.count()
    sql = _PARAMETER.sub(
        lambda found: f"json_extract(given.value, '$[{next(place)}]')" if found[0] == "?" else found[0], sql
    )
    if (values := _VALUES.fullmatch(sql)) is not None:
        return f"{values['into']} SELECT {values['cells']} {_GIVEN}"
    head, where, condition = _WHERE.split(sql, maxsplit=1)
    return f"{head} {_GIVEN}{where}{condition}"


def _cell(parameter: sa.BindParameter[Any], name: str, dialect: sa.Dialect) -> _Cell:
    convert = parameter.type.dialect_impl(dialect).bind_processor(dialect)
    if not parameter.required:
        fixed = convert(parameter.value) if convert else parameter.value
        return lambda _row: fixed
    if convert is None:
        return itemgetter(name)
    return lambda row: convert(row[name])
