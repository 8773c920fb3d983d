"""An insert that looks first, in the same statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

# Names of the parameters, so that they are no column's own.
PREFIX: Final = "new_"


def insert_unless(
    table: sa.Table,
    columns: tuple[str, ...],
    computed: Mapping[str, sa.ColumnElement[Any]],
    *hindrances: sa.Exists,
) -> sa.Insert:
    """Insert a row of parameters and computed values where none of the hindrances exists.

    Each parameter is cast: in a list of a SELECT a server cannot tell of what type a NULL is.
    """
    values: dict[str, sa.ColumnElement[Any]] = {
        name: sa.cast(sa.bindparam(f"{PREFIX}{name}", type_=table.c[name].type), table.c[name].type)
        for name in columns
    }
    values |= computed
    free = sa.select(*values.values()).where(*(~hindrance for hindrance in hindrances))
    return sa.insert(table).inline().from_select(list(values), free)


def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row as the statement takes it."""
    return {f"{PREFIX}{name}": value for name, value in values.items()}
