"""The newest row of each device in the scratch file, and the ordered merge with what a scan has shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pondctl.db.batches import chunks

_PAGE: Final = 1000
# A SIM that has packages is POND's, whatever the host's provider says.
_ABSENT: Final = (
    "FROM newest n WHERE n.passed_over = 0 AND n.processed = 1 AND coalesce(n.errors, 0) = 0 "
    "AND n.target = 'active' AND NOT EXISTS (SELECT 1 FROM device d WHERE d.iccid = n.iccid) "
    "AND NOT EXISTS (SELECT 1 FROM sim s WHERE s.iccid = n.iccid)"
)


class NewestRow(NamedTuple):
    """The row of a device that counts. `iccid` as it is sent; `target` the state that it asks for.

    `passed_over`: nothing is said about it now; it hides older rows all the same.
    """

    iccid: str
    id: int
    bulk_change_id: int
    msisdn: str | None
    status: str | None
    is_processed: int
    has_errors: int | None
    target: str
    is_cancelled: int
    passed_over: int


class Pair(NamedTuple):
    """A row beside the device that the carrier shows; not `shown`: the scan had no such device."""

    row: NewestRow
    shown: bool
    carrier_state: str
    msisdn: str | None


class ScratchRows:
    """ICCID → its newest row; `device` beside it is what the scan has shown."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE TABLE newest (iccid TEXT PRIMARY KEY, id INTEGER, bulk INTEGER, msisdn TEXT, "
            "status TEXT, processed INTEGER, errors INTEGER, target TEXT, cancelled INTEGER, "
            "passed_over INTEGER) WITHOUT ROWID"
        )
        connection.execute("CREATE TABLE tally (bulk INTEGER PRIMARY KEY, found INTEGER, unsettled INTEGER)")

    def put(self, rows: Iterable[NewestRow]) -> None:
        """Keep these rows, in the order of their ids: a later one of the same device takes the place."""
        self._connection.executemany("INSERT OR REPLACE INTO newest VALUES (?,?,?,?,?,?,?,?,?,?)", rows)

    def keep_only(self, iccids: Iterable[str]) -> None:
        """Forget all other devices."""
        self._connection.execute("CREATE TABLE kept (iccid TEXT PRIMARY KEY) WITHOUT ROWID")
        self._connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((i,) for i in iccids))
        self._connection.execute("DELETE FROM newest WHERE iccid NOT IN (SELECT iccid FROM kept)")
        self._connection.execute("DROP TABLE kept")

    @property
    def count(self) -> int:
        """How many devices have a row."""
        count: int = self._connection.execute("SELECT count(*) FROM newest").fetchone()[0]
        return count

    def iccids(self) -> Iterator[str]:
        """All of them, in order; pages, so that others may write meanwhile."""
        after = ""
        while True:
            query = "SELECT iccid FROM newest WHERE iccid > ? ORDER BY iccid LIMIT ?"
            page = [row[0] for row in self._connection.execute(query, (after, _PAGE))]
            if not page:
                return
            after = page[-1]
            yield from page

    def odd_pairs(self) -> Iterator[Pair]:
        """The merge by ICCID, but for devices about which row and carrier plainly agree."""
        query = (
            "SELECT n.*, d.iccid IS NOT NULL, coalesce(d.state, ''), d.msisdn "
            "FROM newest n LEFT JOIN device d ON d.iccid = n.iccid "
            "WHERE n.passed_over = 0 AND (n.processed = 1 AND coalesce(n.errors, 0) = 0 "
            "AND n.target = 'active' AND d.state = 'active' AND n.msisdn = d.msisdn) IS NOT TRUE "
            "ORDER BY n.iccid"
        )
        for found in self._connection.execute(query):
            yield Pair(NewestRow._make(found[:10]), bool(found[10]), *found[11:])

    def count_absent(self) -> int:
        """How many rows take a device for active that the carrier did not show."""
        count: int = self._connection.execute(f"SELECT count(*) {_ABSENT}").fetchone()[0]
        return count

    def some_absent(self, most: int) -> list[str]:
        """Up to so many of these devices, taken from all over."""
        stride = max(1, -(-self.count_absent() // most))
        query = (
            f"SELECT iccid FROM (SELECT n.iccid, row_number() OVER (ORDER BY n.iccid) AS place {_ABSENT}) "
            "WHERE place % ? = 0 LIMIT ?"
        )
        return [row[0] for row in self._connection.execute(query, (stride, most))]

    def absent(self) -> Iterator[NewestRow]:
        """Their rows, in order."""
        for found in self._connection.execute(f"SELECT n.* {_ABSENT} ORDER BY n.iccid"):
            yield NewestRow._make(found)

    def tally(self, found: Mapping[int, int], unsettled: Mapping[int, int]) -> None:
        """Count rows, and those of them that are not settled, by bulk change."""
        self._connection.executemany(
            "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT (bulk) DO UPDATE SET "
            "found = found + excluded.found, unsettled = unsettled + excluded.unsettled",
            ((bulk, count, unsettled.get(bulk, 0)) for bulk, count in found.items()),
        )

    def tallies(self, bulk_change_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """(rows, unsettled rows) of these bulk changes; those without rows are missing."""
        found: dict[int, tuple[int, int]] = {}
        for chunk in chunks(bulk_change_ids, _PAGE // 2):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT bulk, found, unsettled FROM tally WHERE bulk IN ({marks})"
            found.update((row[0], (row[1], row[2])) for row in self._connection.execute(query, chunk))
        return found
