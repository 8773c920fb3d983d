"""What a comparison has found, in the scratch file: counted before anything is written, then gone through."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

_PAGE: Final = 500


class NewFinding(NamedTuple):
    """A finding to be kept; the same one always has the same key."""

    kind: str
    mender: int
    iccid: str | None
    text: str
    key: str


class StoredFinding(NamedTuple):
    """A finding as text, and what became of it."""

    seq: int
    kind: str
    text: str
    result: str | None


class ScratchFindings:
    """Findings by number. With `expect`, only such as were expected are kept."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._expecting = False
        connection.execute(
            "CREATE TABLE finding (seq INTEGER PRIMARY KEY, kind TEXT, mender INTEGER, iccid TEXT, "
            "text TEXT, result TEXT, held INTEGER)"
        )
        connection.execute("CREATE INDEX finding_kind ON finding (kind, seq)")
        connection.execute("CREATE INDEX finding_iccid ON finding (iccid, kind)")
        connection.execute("CREATE TABLE expected (key BLOB PRIMARY KEY, text TEXT) WITHOUT ROWID")

    def expect(self, findings: Iterable[tuple[str, str]]) -> None:
        """From now on keep only findings with just these keys: (text, key)."""
        self._expecting = True
        rows = ((_digest(key), text) for text, key in findings)
        self._connection.executemany("INSERT OR IGNORE INTO expected VALUES (?, ?)", rows)

    def add(self, findings: Sequence[NewFinding], *, held: bool = False) -> None:
        """Keep them. `held`: until `release` or `drop_held` says whether they count."""
        kept = [f for f in findings if self._meets(f.key)] if self._expecting else findings
        self._connection.executemany(
            "INSERT INTO finding (kind, mender, iccid, text, held) VALUES (?, ?, ?, ?, ?)",
            ((*finding[:4], int(held)) for finding in kept),
        )

    def release(self) -> None:
        """What was held counts."""
        self._connection.execute("UPDATE finding SET held = 0 WHERE held = 1")

    def drop_held(self) -> None:
        """What was held does not count."""
        self._connection.execute("DELETE FROM finding WHERE held = 1")

    def not_met(self) -> Iterator[str]:
        """The texts that were expected and not found."""
        for row in self._connection.execute("SELECT text FROM expected ORDER BY key"):
            yield row[0]

    def counts(self) -> Counter[str]:
        """How many of each kind."""
        query = "SELECT kind, count(*) FROM finding GROUP BY kind ORDER BY min(seq)"
        return Counter(dict(self._connection.execute(query).fetchall()))

    def count_results(self, beginning: str) -> Counter[str]:
        """How many of each kind came to a result that begins so."""
        query = "SELECT kind, count(*) FROM finding WHERE substr(result, 1, ?) = ? GROUP BY kind"
        return Counter(dict(self._connection.execute(query, (len(beginning), beginning)).fetchall()))

    def count(self, menders: Sequence[int]) -> int:
        """How many are mended by one of these."""
        marks = ",".join("?" * len(menders))
        query = f"SELECT count(*) FROM finding WHERE mender IN ({marks})"
        count: int = self._connection.execute(query, menders).fetchone()[0]
        return count

    def of_kinds(self, kinds: Sequence[str], after: int, limit: int = _PAGE) -> list[StoredFinding]:
        """The next findings of these kinds."""
        marks = ",".join("?" * len(kinds))
        query = (
            f"SELECT seq, kind, text, result FROM finding WHERE kind IN ({marks}) AND seq > ? "
            "ORDER BY seq LIMIT ?"
        )
        return [StoredFinding._make(r) for r in self._connection.execute(query, (*kinds, after, limit))]

    def devices(self, kinds: Sequence[str]) -> Iterator[str]:
        """The devices that these kinds are about, each once; in pages, so that others may write meanwhile."""
        marks = ",".join("?" * len(kinds))
        query = (
            f"SELECT DISTINCT iccid FROM finding WHERE kind IN ({marks}) AND iccid > ? ORDER BY iccid LIMIT ?"
        )
        after = ""
        while page := self._connection.execute(query, (*kinds, after, _PAGE)).fetchall():
            after = page[-1][0]
            yield from (row[0] for row in page)

    def about(self, iccid: str, kinds: Sequence[str]) -> list[StoredFinding]:
        """The findings of these kinds about one device."""
        marks = ",".join("?" * len(kinds))
        query = f"SELECT seq, kind, text, result FROM finding WHERE iccid = ? AND kind IN ({marks})"
        return [StoredFinding._make(r) for r in self._connection.execute(query, (iccid, *kinds))]

    def pages(self) -> Iterator[list[StoredFinding]]:
        """All of them, page by page."""
        after = 0
        query = "SELECT seq, kind, text, result FROM finding WHERE seq > ? ORDER BY seq LIMIT ?"
        while page := [StoredFinding._make(r) for r in self._connection.execute(query, (after, _PAGE))]:
            after = page[-1].seq
            yield page

    def decide(self, results: Iterable[tuple[int, str]]) -> None:
        """Keep what became of findings: (number, result)."""
        self._connection.executemany(
            "UPDATE finding SET result = ? WHERE seq = ?", ((result, seq) for seq, result in results)
        )

    def _meets(self, key: str) -> bool:
        gone = self._connection.execute("DELETE FROM expected WHERE key = ?", (_digest(key),))
        return gone.rowcount == 1


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
