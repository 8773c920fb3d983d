"""Holds a statement against what SQL Server takes; used on every statement that a database test runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mssql import pyodbc

from pondctl.db.batches import MADE_FROM

DIALECT = pyodbc.dialect(paramstyle="qmark")
_SQLITE_ONLY = re.compile(
    r"strftime|julianday|\|\||\bLIMIT\b|\bPRAGMA\b|\bIFNULL\b|\bOR REPLACE\b|\bON CONFLICT\b|\bRETURNING\b"
    r"|\bMERGE\b|\bIS 1\b|\bIS 0\b|[^@]\btrue\b|\bfalse\b"
)
_TWO_PARAMETERS = re.compile(r"\? (?:=|<>|!=|<|>|<=|>=) \?")
_MOST_PARAMETERS = 2100

Values = Mapping[str, Any]
Statement = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete


@contextmanager
def watched_statements() -> Iterator[None]:
    """Within it every statement that SQLite runs is held against SQL Server once."""
    seen: set[object] = set()

    def check(
        connection: sa.Connection, statement: object, many: Sequence[Values], one: Values, _: object
    ) -> None:
        # SQL Server itself judges what it is sent, SQLAlchemy's own questions to its catalogue among that.
        if connection.dialect.name != "mssql" and isinstance(
            statement, sa.Select | sa.Insert | sa.Update | sa.Delete
        ):
            hold(statement, many[0] if many else one, several=len(many) > 1)

    def check_for_the_driver(
        _connection: object, _cursor: object, _sql: str, _values: object, context: Any, _many: object
    ) -> None:
        statement, names = context.execution_options.get(MADE_FROM, (None, ()))
        if statement is not None:
            hold(statement, dict.fromkeys(names), several=True)

    def hold(statement: Statement, values: Values, *, several: bool) -> None:
        key = statement._generate_cache_key()
        # The same statement with another number of parameters is another one.
        known = (key.key, len(key.bindparams)) if key else object()
        if known not in seen:
            seen.add(known)
            text = compile_for_sql_server(statement, values)
            if several and not (isinstance(statement, sa.Insert) and statement.select is not None):
                # For many rows the driver asks the server for the types, which it cannot tell here.
                # (INSERT … SELECT is sent row by row, its types said.)
                assert not _TWO_PARAMETERS.search(text), text

    sa.event.listen(sa.Engine, "before_execute", check)
    sa.event.listen(sa.Engine, "before_cursor_execute", check_for_the_driver)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_execute", check)
        sa.event.remove(sa.Engine, "before_cursor_execute", check_for_the_driver)


def compile_for_sql_server(statement: sa.ClauseElement, values: Values) -> str:
    """The statement as SQL Server would get it; fails where it could not take it."""
    compiled = statement.compile(dialect=DIALECT, column_keys=list(values) or None)
    expanded = compiled.construct_expanded_state(dict(values))  # type: ignore[attr-defined]
    text = expanded.statement
    assert not _SQLITE_ONLY.search(text), text
    assert not re.search(r"GROUP BY[^)]*\?", text), f"grouped by an expression with a parameter: {text}"
    assert len(expanded.positional_parameters) <= _MOST_PARAMETERS, text
    if isinstance(statement, sa.Insert):
        # Else `select scope_identity()` is sent along, which FreeTDS fails on and a trigger falsifies.
        numbered = statement.table._autoincrement_column is not None  # type: ignore[attr-defined]
        assert compiled.inline or statement._returning or not numbered, text
    for name, parameter in compiled.binds.items():  # type: ignore[attr-defined]
        _check_type(name, parameter.type, text)
    return text


def _check_type(name: str, type_: sa.types.TypeEngine[Any], text: str) -> None:
    # A NULL of no type, and a varchar beside an nvarchar column, are what the drivers stumble over.
    assert not isinstance(type_, sa.types.NullType), f"{name} has no type: {text}"
    if isinstance(type_, sa.String):
        assert isinstance(type_, sa.Unicode), f"{name} is no nvarchar: {text}"
