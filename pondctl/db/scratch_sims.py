"""The SIMs to ask POND about, in the scratch file: who is next, and what was seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pondctl.db.batches import chunks

_AT_ONCE: Final = 500


class AskedRow(NamedTuple):
    """What the newest row of a SIM asks for, and whether it is settled without an error."""

    iccid: str
    service_provider_id: int
    bulk_change_id: int
    operation: str | None
    package_type_id: int | None
    is_right: int


class Sim(NamedTuple):
    """A SIM that the database knows. `seen`: POND was asked, and there were so many packages standing.

    `active_types`: of the ACTIVE ones, divided by blanks.
    """

    iccid: str
    service_provider_id: int | None
    bulk_change_id: int | None
    operation: str | None
    package_type_id: int | None
    is_right: int
    seen: int
    active_types: str
    standing: int


class Ages(NamedTuple):
    """How many SIMs there are, how many were never looked at, and when the oldest look was."""

    sims: int
    never: int
    oldest: datetime | None


class ScratchSims:
    """ICCID → what is known of the SIM."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE TABLE sim (iccid TEXT PRIMARY KEY, provider INTEGER, bulk INTEGER, operation TEXT, "
            "type INTEGER, is_right INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0, "
            "active TEXT NOT NULL DEFAULT '', standing INTEGER NOT NULL DEFAULT 0, "
            "urgent INTEGER NOT NULL DEFAULT 0, checked TEXT) WITHOUT ROWID"
        )
        connection.execute("CREATE TABLE turn (seq INTEGER PRIMARY KEY, iccid TEXT)")

    def add(self, sims: Iterable[tuple[str, int]]) -> None:
        """SIMs with the provider of their newest package row."""
        self._connection.executemany(
            "INSERT INTO sim (iccid, provider) VALUES (?, ?) "
            "ON CONFLICT (iccid) DO UPDATE SET provider = excluded.provider",
            sims,
        )

    def add_rows(self, rows: Iterable[AskedRow]) -> None:
        """SIMs that a row names, in the order of the rows' ids."""
        self._connection.executemany(
            "INSERT INTO sim (iccid, provider, bulk, operation, type, is_right) VALUES (?,?,?,?,?,?) "
            "ON CONFLICT (iccid) DO UPDATE SET provider = coalesce(provider, excluded.provider), "
            "bulk = excluded.bulk, operation = excluded.operation, type = excluded.type, "
            "is_right = excluded.is_right",
            rows,
        )

    def add_urgent(self, sims: Iterable[tuple[str, int]]) -> None:
        """SIMs with a write whose answer is not known: they come first."""
        self._connection.executemany(
            "INSERT INTO sim (iccid, provider, urgent) VALUES (?, ?, 1) "
            "ON CONFLICT (iccid) DO UPDATE SET urgent = 1, provider = coalesce(provider, excluded.provider)",
            sims,
        )

    def keep_only(self, iccids: Iterable[str]) -> None:
        """Forget all others."""
        self._connection.execute("CREATE TABLE kept (iccid TEXT PRIMARY KEY) WITHOUT ROWID")
        self._connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((i,) for i in iccids))
        self._connection.execute("DELETE FROM sim WHERE iccid NOT IN (SELECT iccid FROM kept)")
        self._connection.execute("DROP TABLE kept")

    def checked(self, checks: Iterable[tuple[str, datetime]]) -> None:
        """When they were looked at before."""
        self._connection.executemany(
            "UPDATE sim SET checked = ? WHERE iccid = ?",
            ((when.isoformat(sep=" ", timespec="microseconds"), iccid) for iccid, when in checks),
        )

    def line_up(self) -> None:
        """Put them in the order in which they are asked: urgent, never looked at, longest ago."""
        self._connection.execute(
            "INSERT INTO turn (iccid) SELECT iccid FROM sim "
            "ORDER BY urgent DESC, checked IS NOT NULL, checked, iccid"
        )

    def next_turns(self, after: int, limit: int) -> list[tuple[int, str]]:
        """The next (turn, ICCID)."""
        query = "SELECT seq, iccid FROM turn WHERE seq > ? ORDER BY seq LIMIT ?"
        return self._connection.execute(query, (after, limit)).fetchall()

    def find(self, iccids: Sequence[str]) -> dict[str, Sim]:
        """Those of them that the database knows."""
        found: dict[str, Sim] = {}
        for chunk in chunks(iccids, _AT_ONCE):
            marks = ",".join("?" * len(chunk))
            query = (
                "SELECT iccid, provider, bulk, operation, type, is_right, seen, active, standing "
                f"FROM sim WHERE iccid IN ({marks})"
            )
            found.update((row[0], Sim._make(row)) for row in self._connection.execute(query, chunk))
        return found

    def saw(self, looks: Iterable[tuple[str, str, int]], when: datetime) -> None:
        """POND was asked now: (ICCID, types of ACTIVE packages, how many stand)."""
        text = when.isoformat(sep=" ", timespec="microseconds")
        self._connection.executemany(
            "UPDATE sim SET seen = 1, active = ?, standing = ?, checked = ? WHERE iccid = ?",
            ((active, standing, text, iccid) for iccid, active, standing in looks),
        )

    def ages(self) -> Ages:
        """How far the round is."""
        query = "SELECT count(*), count(*) - count(checked), min(checked) FROM sim"
        sims, never, oldest = self._connection.execute(query).fetchone()
        return Ages(sims, never, datetime.fromisoformat(oldest) if oldest else None)
