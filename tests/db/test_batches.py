from __future__ import annotations

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.columns import OwnNames
from pondctl.db.own_tables import OwnTables


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
    assert sizes("sqlite", picks_values=True) == [1000, 200]


def test_where_the_driver_would_have_to_guess_types_rows_go_singly() -> None:
    assert sizes("mssql", picks_values=True) == [1] * 1200


def test_nothing_is_cut_from_nothing() -> None:
    assert list(chunks([])) == []
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
