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
    for chunk in chunks(rows):
        connection.execute(statement, chunk)
