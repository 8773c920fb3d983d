"""What a database says about itself: tables, columns, indexes and rights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

# Tables that SQL Server's own `master` brings along.
_SERVERS_OWN: Final = ("sysdiagrams", "MSreplication_options", "dtproperties")


class Catalogue:
    """Reads the catalogue views that every T-SQL server has, and SQLite's pragmas."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"

    def base_tables(self) -> list[tuple[str, str]]:
        """All tables of the database as (schema, name), but for the server's own."""
        if self._sqlite:
            query = sa.text(
                "SELECT '', name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        else:
            query = sa.text(
                "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES "
                "WHERE TABLE_TYPE = 'BASE TABLE'"
            )
        return [
            (row[0], row[1])
            for row in self._connection.execute(query)
            if row[0] != "sys" and row[1] not in _SERVERS_OWN and not row[1].startswith("spt_")
        ]

    def has_schema(self, schema: str) -> bool:
        """Whether SQL Server has a schema of that name."""
        query = sa.text("SELECT COUNT(*) FROM sys.schemas WHERE name = :schema")
        return bool(self._connection.execute(query.bindparams(_name("schema", schema))).scalar())

    def columns(self, name: str, schema: str | None) -> set[str]:
        """The columns of a table or view; empty where it is not there, or hidden for lack of rights."""
        if self._sqlite:
            query = sa.text("SELECT name FROM pragma_table_info(:name)").bindparams(_name("name", name))
            return set(self._connection.execute(query).scalars())
        return set(self._connection.execute(_described("COLUMN_NAME", "COLUMNS", name, schema)).scalars())

    def shown_columns(self, table: sa.Table) -> set[str]:
        """The columns as a query shows them: also those of a synonym, or where the views say nothing."""
        nothing = sa.select(sa.text("*")).select_from(table).where(sa.false())
        return set(self._connection.execute(nothing).keys())

    def leading_columns(self, name: str, schema: str | None) -> set[str] | None:
        """The first column of each index, by which rows can be found quickly; None where it is no table.

        What stands behind a view or a synonym has indexes of its own.
        """
        if self._sqlite:
            indexes = sa.text("SELECT name FROM pragma_index_list(:name)").bindparams(_name("name", name))
            first = sa.text("SELECT name FROM pragma_index_info(:name) WHERE seqno = 0")
            return {
                column
                for index in list(self._connection.execute(indexes).scalars())
                for column in self._connection.execute(first.bindparams(_name("name", index))).scalars()
            }
        kinds = self._connection.execute(_described("TABLE_TYPE", "TABLES", name, schema)).scalars()
        if "BASE TABLE" not in set(kinds):
            return None
        database, _ = _split(schema)
        prefix = f"{quote(database)}." if database else ""
        query = sa.text(
            f"SELECT c.name FROM {prefix}sys.index_columns ic "
            f"JOIN {prefix}sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id "
            "WHERE ic.object_id = OBJECT_ID(:name) AND ic.key_ordinal = 1"
        )
        return set(
            self._connection.execute(query.bindparams(_name("name", full_name(name, schema)))).scalars()
        )

    def rights(self, name: str, schema: str | None, wanted: Sequence[str]) -> dict[str, bool | None]:
        """Whether the login may do these things to a table; None where the server does not say."""
        asked = [f"HAS_PERMS_BY_NAME(:name, 'OBJECT', :right_{number})" for number in range(len(wanted))]
        query = sa.text(f"SELECT {', '.join(asked)}").bindparams(
            _name("name", full_name(name, schema)),
            *(_name(f"right_{number}", right) for number, right in enumerate(wanted)),
        )
        answers: Any = self._connection.execute(query).first() or [None] * len(wanted)
        told = (None if answer is None else bool(answer) for answer in answers)
        return dict(zip(wanted, told, strict=True))


def full_name(name: str, schema: str | None) -> str:
    """The name in T-SQL, each part in brackets."""
    return ".".join(quote(part) for part in (*(schema.split(".") if schema else ()), name))


def quote(part: str) -> str:
    """One part of a name in brackets."""
    return f"[{part.replace(']', ']]')}]"


def _described(what: str, view: str, name: str, schema: str | None) -> sa.TextClause:
    database, owner = _split(schema)
    prefix = f"{quote(database)}." if database else ""
    # Where a name without a schema is looked for: a table of that name elsewhere is another one.
    place = "= :owner" if owner else "IN (SCHEMA_NAME(), 'dbo')"
    here = f"TABLE_NAME = :name AND TABLE_SCHEMA {place}"
    query = sa.text(f"SELECT {what} FROM {prefix}INFORMATION_SCHEMA.{view} WHERE {here}")
    return query.bindparams(_name("name", name), *([_name("owner", owner)] if owner else ()))


def _split(schema: str | None) -> tuple[str | None, str | None]:
    database, _, owner = (schema or "").rpartition(".")
    return database or None, owner or None


def _name(parameter: str, value: str | None) -> sa.BindParameter[str]:
    return sa.bindparam(parameter, value, sa.Unicode())
