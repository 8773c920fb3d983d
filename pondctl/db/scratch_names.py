"""Which devices and packages the database names how often, in the scratch file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator


class ScratchNames:
    """Counts (bulk change, ICCID) and (ICCID, package id)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE TABLE named_row (bulk INTEGER, iccid TEXT, found INTEGER, PRIMARY KEY (bulk, iccid)) "
            "WITHOUT ROWID"
        )
        connection.execute(
            "CREATE TABLE named_package (iccid TEXT, package TEXT, active INTEGER, found INTEGER, "
            "PRIMARY KEY (iccid, package)) WITHOUT ROWID"
        )

    def add_rows(self, rows: Iterable[tuple[int, str]]) -> None:
        """Rows by bulk change and device."""
        self._connection.executemany(
            "INSERT INTO named_row VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET found = found + 1", rows
        )

    def add_packages(self, rows: Iterable[tuple[str, str, bool]]) -> None:
        """(ICCID, package id, whether it says ACTIVE)."""
        self._connection.executemany(
            "INSERT INTO named_package VALUES (?, ?, ?, 1) "
            "ON CONFLICT DO UPDATE SET found = found + 1, active = max(active, excluded.active)",
            rows,
        )

    def doubled_rows(self) -> Iterator[tuple[int, str, int]]:
        """(bulk change, ICCID, how often)."""
        query = "SELECT bulk, iccid, found FROM named_row WHERE found > 1 ORDER BY bulk, iccid"
        yield from self._connection.execute(query)

    def doubled_packages(self) -> Iterator[tuple[str, str, int]]:
        """(ICCID, package id, how often)."""
        query = "SELECT iccid, package, found FROM named_package WHERE found > 1 ORDER BY iccid, package"
        yield from self._connection.execute(query)

    def several_active(self) -> Iterator[tuple[str, int]]:
        """(ICCID, how many different packages say ACTIVE)."""
        query = (
            "SELECT iccid, sum(active) AS standing FROM named_package "
            "GROUP BY iccid HAVING standing > 1 ORDER BY iccid"
        )
        yield from self._connection.execute(query)
