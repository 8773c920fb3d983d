"""What SQLite and SQL Server say differently: column types, and the database's own clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mssql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

# SQL Server refuses more than 2,100 parameters in a statement and 1,000 rows in one VALUES.
ROWS_A_STATEMENT: Final = 1000

DATETIME: Final[TypeEngine[datetime]] = sa.DateTime().with_variant(
    mssql.DATETIME2(3),  # type: ignore[no-untyped-call] # the constructor has no annotations
    "mssql",
)
# SQLite numbers rows by itself only where the type is spelled INTEGER.
ROW_ID: Final[TypeEngine[int]] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# nvarchar(max): `UnicodeText` would be ntext, which SQL Server has given up.
TEXT: Final[TypeEngine[str]] = sa.Unicode()


def text(value: str) -> sa.BindParameter[str]:
    """A string that travels as nvarchar; a bare one inside a function call would be varchar."""
    return sa.literal(value, sa.Unicode())


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
    return "SYSUTCDATETIME()"


@compiles(_ShiftedNow, "sqlite")
def _shifted_on_sqlite(element: _ShiftedNow, compiler: SQLCompiler, **kw: Any) -> str:
    seconds, milliseconds = (compiler.process(clause, **kw) for clause in element.clauses)
    shifts = f"{seconds} || ' seconds', ({milliseconds} / 1000.0) || ' seconds'"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {shifts}) || '000')"


@compiles(_ShiftedNow, "mssql")
def _shifted_on_mssql(element: _ShiftedNow, compiler: SQLCompiler, **kw: Any) -> str:
    # Two steps: a DATEADD in milliseconds alone overflows after 24 days.
    seconds, milliseconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"DATEADD(second, {seconds}, DATEADD(millisecond, {milliseconds}, SYSUTCDATETIME()))"
