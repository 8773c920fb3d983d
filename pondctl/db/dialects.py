"""What SQLite and SQL Server say differently: column types, and the database's own clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

# SQL Server refuses more than 2,100 parameters in a statement and 1,000 rows in one VALUES.
ROWS_A_STATEMENT: Final = 1000
# As exact as the columns: else what was written "now" is rounded up, and not due yet a moment later.
_NOW_ON_MSSQL: Final = "CAST(SYSUTCDATETIME() AS DATETIME2(3))"


class _WrittenMoment(sqlite.DATETIME):
    """SQLite keeps in such a column whatever a host wrote there; what is no time is not known."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            try:
                return value if read is None else read(value)
            except (TypeError, ValueError):
                return None

        return process


class Moment(sa.TypeDecorator[datetime]):
    """datetime2(3), sent as text where it is a parameter.

    pyodbc asks the driver how exact a time may be; where the server's catalogue has no answer it cuts the
    parts of a second off, and a time that was read would not be equal to itself any more.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            written = _WrittenMoment()  # type: ignore[no-untyped-call] # as below
            return dialect.type_descriptor(written)
        if dialect.name != "mssql":
            return dialect.type_descriptor(sa.DateTime())
        precise = mssql.DATETIME2(3)  # type: ignore[no-untyped-call] # the constructor has no annotations
        return dialect.type_descriptor(precise)

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name != "mssql":
            return value
        return value.isoformat(sep="T", timespec="microseconds")

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        # A host may keep an offset with its times: as datetimeoffset, or written into SQLite's text.
        if value is None or value.tzinfo is None:
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def bind_expression(self, bindvalue: sa.BindParameter[datetime]) -> sa.ColumnElement[datetime]:
        return _given_moment(bindvalue)


class _given_moment(FunctionElement[datetime]):  # noqa: N801 - as below
    inherit_cache = True
    name = "given_moment"


@compiles(_given_moment)
def _moment_as_it_is(element: _given_moment, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(_given_moment, "mssql")
def _moment_from_text(element: _given_moment, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS DATETIME2(3))"


DATETIME: Final[TypeEngine[datetime]] = Moment()
# SQLite numbers rows by itself only where the type is spelled INTEGER.
ROW_ID: Final[TypeEngine[int]] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# nvarchar(max): `UnicodeText` would be ntext, which SQL Server has given up.
TEXT: Final[TypeEngine[str]] = sa.Unicode()


def text(value: str) -> sa.BindParameter[str]:
    """A string that travels as nvarchar; a bare one inside a function call would be varchar."""
    return sa.literal(value, sa.Unicode())


def begins_with(column: sa.ColumnElement[str], words: str) -> sa.ColumnElement[bool]:
    """Whether it begins with just these words."""
    return column.like(f"{_literal(words)}%", escape="/")


def contains(column: sa.ColumnElement[str], words: str) -> sa.ColumnElement[bool]:
    """Whether just these words stand in it."""
    return column.like(f"%{_literal(words)}%", escape="/")


def _literal(words: str) -> str:
    # SQLAlchemy's own escape leaves out what SQL Server alone takes for a set of letters.
    return re.sub(r"([%_\[/])", r"/\1", words)


def cut(value: str, longest: int) -> str:
    """As much of it as nvarchar(longest) takes: SQL Server counts what is beyond U+FFFF twice."""
    kept = value[:longest]
    while (too_long := len(kept) + sum(letter > "\uffff" for letter in kept) - longest) > 0:
        kept = kept[: -((too_long + 1) // 2)]
    return kept


class utcnow(FunctionElement[datetime]):  # noqa: N801 - stands in SQL, where functions are lower case
    """UTC as the database sees it: the only time that two hosts may compare."""

    inherit_cache = True
    type = DATETIME
    name = "utcnow"


class _ShiftedNow(FunctionElement[datetime]):
    inherit_cache = True
    type = DATETIME
    name = "shifted_now"


def utc_in(seconds: float) -> _ShiftedNow:
    """Database time so many seconds from now; negative: ago."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return _ShiftedNow(sa.literal(whole, sa.Integer()), sa.literal(rest, sa.Integer()))


@compiles(utcnow, "sqlite")
def _now_on_sqlite(element: utcnow, compiler: SQLCompiler, **kw: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(utcnow, "mssql")
def _now_on_mssql(element: utcnow, compiler: SQLCompiler, **kw: Any) -> str:
    return _NOW_ON_MSSQL


@compiles(_ShiftedNow, "sqlite")
def _shifted_on_sqlite(element: _ShiftedNow, compiler: SQLCompiler, **kw: Any) -> str:
    seconds, milliseconds = (compiler.process(clause, **kw) for clause in element.clauses)
    shifts = f"{seconds} || ' seconds', ({milliseconds} / 1000.0) || ' seconds'"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {shifts}) || '000')"


@compiles(_ShiftedNow, "mssql")
def _shifted_on_mssql(element: _ShiftedNow, compiler: SQLCompiler, **kw: Any) -> str:
    # Two steps: a DATEADD in milliseconds alone overflows after 24 days.
    seconds, milliseconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"DATEADD(second, {seconds}, DATEADD(millisecond, {milliseconds}, {_NOW_ON_MSSQL}))"


class spelled_moment(FunctionElement[str]):  # noqa: N801 - as above
    """A moment of the database as text to the millisecond: `2026-11-27 08:00:00.000`."""

    inherit_cache = True
    type = sa.Unicode()


@compiles(spelled_moment, "sqlite")
def _spelled_on_sqlite(element: spelled_moment, compiler: SQLCompiler, **kw: Any) -> str:
    return f"substr({compiler.process(element.clauses, **kw)}, 1, 23)"


@compiles(spelled_moment, "mssql")
def _spelled_on_mssql(element: spelled_moment, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CONVERT(VARCHAR(23), {compiler.process(element.clauses, **kw)}, 121)"
