from __future__ import annotations

from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from pondctl.db.engine import build_engine
from pondctl.db.urls import Address
from pondctl.db.whole_answers import last_count


class RefusedError(Exception):
    """What a driver raises when it comes to an error in what the server said."""


class Cursor:
    """As pyodbc shows the parts of an answer: counts, sets of rows, errors; one after the other."""

    def __init__(self, parts: Sequence[int | str]) -> None:
        self._parts = iter(parts)
        self.rowcount = -1
        self.description: object = None
        self.nextset()

    def nextset(self) -> bool:
        part = next(self._parts, None)
        self.rowcount, self.description = -1, None
        if part == "error":
            raise RefusedError
        if part == "rows":
            self.description = [("anything",)]
        elif isinstance(part, int):
            self.rowcount = part
        return part is not None


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        ([1], 1),
        ([0], 0),
        ([7, 0, 1], 1),  # a trigger wrote seven rows, then none; the statement itself changed one
        ([7, 0], 0),
        (["rows", 1], 1),
        ([1, "rows"], 1),
    ],
)
def test_the_count_is_the_statements_own_whatever_a_trigger_said_before(
    parts: Sequence[int | str], count: int
) -> None:
    assert last_count(Cursor(parts)) == count


def test_an_error_behind_a_count_is_not_lost() -> None:
    with pytest.raises(RefusedError):
        last_count(Cursor([1, "error"]))


def test_every_write_to_sql_server_is_heard_out() -> None:
    for driver in ("ODBC Driver 18 for SQL Server", "FreeTDS"):
        url = sa.make_url(f"mssql+pyodbc://u:p@localhost/x?driver={driver.replace(' ', '+')}")
        engine = build_engine(Address(url, freetds=driver == "FreeTDS"))
        assert engine.dialect.execution_ctx_cls.__name__ == "_WholeAnswer"
