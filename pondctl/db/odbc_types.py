"""Tells ODBC drivers the types of parameters, where what they find out by themselves is wrong."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from pondctl.db.dialects import Moment

# SQL type, length and scale, by the numbers that ODBC has for them.
_Size = tuple[int | None, int | None, int | None]
_NUMBERS: Final[tuple[tuple[type[TypeEngine[Any]], _Size], ...]] = (
    (sa.Boolean, (-7, 0, 0)),
    (sa.BigInteger, (-5, 0, 0)),
    (sa.Integer, (4, 0, 0)),
    (sa.Float, (8, 0, 0)),
)
_WVARCHAR: Final = -9
_WLONGVARCHAR: Final = -10
_LONGEST: Final = 4000
_MOMENT_LENGTH: Final = 40
_UNKNOWN: Final[_Size] = (None, None, None)
_MAX: Final[_Size] = (_WVARCHAR, 0, 0)
# In UTF-16; a letter can take two of them.
_SURELY_SHORT: Final = 2000


def type_parameters(engine: sa.Engine) -> None:
    """Bind each parameter with the type that its statement gives it.

    For a NULL, and for every parameter of many rows, pyodbc has the driver ask the server for the type.
    Where the server cannot tell, a NULL becomes a varchar, a text is cut at 255, and the question that
    failed may have rolled the transaction back.
    """
    untyped_null = engine.dialect.loaded_dbapi.BinaryNull

    def replace_nulls(
        connection: sa.Connection, cursor: Any, statement: str, parameters: Any, *more: Any
    ) -> tuple[str, Any]:
        context, many = more
        if not many and context.compiled is not None and None in parameters:
            # The one NULL about which pyodbc does not ask; `setinputsizes` has said what it is.
            parameters = tuple(untyped_null if value is None else value for value in parameters)
        return statement, parameters

    sa.event.listen(engine, "do_setinputsizes", _name_types)
    sa.event.listen(engine, "before_cursor_execute", replace_nulls, retval=True)


def _name_types(
    sizes: dict[sa.BindParameter[Any], Any], cursor: Any, statement: str, parameters: Any, context: Any
) -> None:
    if context.executemany:
        # SQLAlchemy says nothing here. There is no IN among many rows, so these are the parameters in order.
        compiled = context.compiled
        cursor.setinputsizes([many_rows_type(compiled.binds[name].type) for name in compiled.positiontup])
        return
    long = any(map(_is_long, parameters[0]))
    for bound, known in sizes.items():
        if long and isinstance(bound.type, sa.String):
            sizes[bound] = _MAX
        elif known is None:
            sizes[bound] = one_row_type(bound.type)


def keep_long_texts(engine: sa.Engine) -> None:
    """FreeTDS cuts a text of more than 4,000 letters off without a word, unless it is told of it."""

    def tell(connection: sa.Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        rows = parameters if parameters and isinstance(parameters[0], tuple) else (parameters,)
        long = {place for row in rows for place, value in enumerate(row) if _is_long(value)}
        if long:
            sizes = [(_WLONGVARCHAR, 0, 0) if place in long else None for place in range(len(rows[0]))]
            cursor.setinputsizes(sizes)

    sa.event.listen(engine, "before_cursor_execute", tell)


def _is_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > _SURELY_SHORT


def many_rows_type(type_: TypeEngine[Any]) -> _Size:
    """Many rows are laid out side by side, each text as long as its column allows."""
    if isinstance(type_, Moment):
        return (_WVARCHAR, _MOMENT_LENGTH, 0)
    if isinstance(type_, sa.String):
        length = type_.length or 0
        return (_WVARCHAR, length if length <= _LONGEST else 0, 0)
    return one_row_type(type_)


def one_row_type(type_: TypeEngine[Any]) -> _Size:
    """A single text is as long as it is: what is looked for may be longer than the column."""
    if isinstance(type_, Moment | sa.String):
        return (_WVARCHAR, None, None)
    return next((size for kind, size in _NUMBERS if isinstance(type_, kind)), _UNKNOWN)
