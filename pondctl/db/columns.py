"""How pondctl's own tables and columns are spelled; the migrations use the same words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pondctl.db.dialects import DATETIME, ROW_ID, TEXT

Part = sa.Column[Any] | sa.Index


@dataclass(frozen=True, slots=True)
class OwnNames:
    """How own tables are called: `pondctl.run` with a schema, `pondctl_run` without."""

    schema: str | None

    def of(self, name: str) -> str:
        """The table's name inside the schema."""
        return name if self.schema else f"pondctl_{name}"


def row_id() -> sa.Column[int]:
    """The number that the database gives each row."""
    return sa.Column("id", ROW_ID, primary_key=True)


def word(name: str, length: int, *, null: bool = False, unique: bool = False) -> sa.Column[str]:
    """nvarchar(length)."""
    return sa.Column(name, sa.Unicode(length), nullable=null, unique=unique)


def long_text(name: str, *, null: bool = True) -> sa.Column[str]:
    """nvarchar(max)."""
    return sa.Column(name, TEXT, nullable=null)


def moment(name: str, *, null: bool = False) -> sa.Column[datetime]:
    """A time in database UTC."""
    return sa.Column(name, DATETIME, nullable=null)


def number(name: str, *, null: bool = False) -> sa.Column[int]:
    """A 32-bit number."""
    return sa.Column(name, sa.Integer(), nullable=null)


def big(name: str, *, null: bool = False) -> sa.Column[int]:
    """A 64-bit number."""
    return sa.Column(name, sa.BigInteger(), nullable=null)


def flag(name: str) -> sa.Column[bool]:
    """Yes or no."""
    return sa.Column(name, sa.Boolean(), nullable=False)


def own_names(options: Mapping[str, Any]) -> OwnNames:
    """The names that `migrations/env.py` was given, as a migration gets at them."""
    names = options["own_names"]
    if not isinstance(names, OwnNames):
        raise TypeError("a migration runs through pondctl.db.migrate")
    return names
