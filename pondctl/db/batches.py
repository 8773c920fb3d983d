"""Cuts work into statements that every server takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from pondctl.db.dialects import ROWS_A_STATEMENT

T = TypeVar("T")


def chunks(items: Iterable[T], size: int = ROWS_A_STATEMENT) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def execute_many(
    connection: sa.Connection,
    statement: sa.Insert | sa.Update | sa.Delete,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Run the statement once for each row, in batches; drivers do not tell how many rows it hit."""
    one_by_one = connection.dialect.name == "mssql" and _picks_values(statement)
    for chunk in chunks(rows, 1 if one_by_one else ROWS_A_STATEMENT):
        connection.execute(statement, chunk)


def _picks_values(statement: sa.Insert | sa.Update | sa.Delete) -> bool:
    """INSERT … SELECT: for many rows at once Microsoft's driver asks the server which types the
    parameters have, and in a list of selected values no server can tell."""
    return isinstance(statement, sa.Insert) and statement.select is not None
