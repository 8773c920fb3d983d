"""Where the host's tables and columns really are: reads `database.names`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pondctl.errors import ConfigurationError

_PART = re.compile(r"\[((?:[^\]]|\]\])+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class QualifiedName:
    """A table or view; `schema` may hold the database too (`otherdb.dbo`)."""

    name: str
    schema: str | None


@dataclass(frozen=True, slots=True)
class ColumnPlace:
    """A column's real name; `table` is set where it stands in another table or view."""

    name: str
    table: QualifiedName | None = None


class HostNames:
    """Answers for each name of the contract what it is called here.

    A column mapped to an empty text is absent (None); one mapped to `view.Column` is read from there,
    by the same id.
    """

    def __init__(self, names: Mapping[str, str], known: Mapping[str, frozenset[str]]) -> None:
        self._names = names
        for key in names:
            table, _, column = key.partition(".")
            if table not in known or (column and column not in known[table]):
                raise ConfigurationError(
                    f"database.names: {key!r} is no table or column that pondctl uses",
                    hint=f"tables: {', '.join(known)}; a column is written Table.Column",
                )

    def table(self, key: str) -> QualifiedName:
        """The real name of a table."""
        return _qualified(_parts(key, self._names.get(key, key)))

    def column(self, table: str, column: str) -> ColumnPlace | None:
        """The real place of a column, None where it is absent."""
        key = f"{table}.{column}"
        value = self._names.get(key, column)
        if not value.strip():
            return None
        *before, name = _parts(key, value)
        return ColumnPlace(name, _qualified(before) if before else None)


def _qualified(parts: list[str]) -> QualifiedName:
    return QualifiedName(parts[-1], ".".join(parts[:-1]) or None)


def _parts(key: str, value: str) -> list[str]:
    """Split `otherdb.dbo.[My Table]` at the dots outside brackets."""
    parts = [(quoted or plain).strip() for quoted, plain in _PART.findall(value)]
    rebuilt = _PART.sub("", value).strip(". ")
    if not parts or rebuilt or not all(parts):
        raise ConfigurationError(
            f"database.names: {value!r} for {key!r} is no name",
            hint="write Table, schema.Table or database.schema.Table",
        )
    return [part.replace("]]", "]") for part in parts]
