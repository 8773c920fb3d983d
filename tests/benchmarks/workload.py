"""A database with one bulk change of many devices, in an order that is not the carrier's."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pondctl.db.database import Database
from pondctl.db.schema import init_database
from pondctl.sandbox import SandboxConfig
from pondctl.sandbox.fleet import Fleet

_COMMON = "CreatedBy, CreatedDate, IsActive, IsDeleted"
_VALUES = "'host', '2026-01-01 08:00:00', 1, 0"


@dataclass(frozen=True)
class Workload:
    """The database and its bulk changes."""

    path: Path
    bulk_change_ids: tuple[int, ...]

    @property
    def url(self) -> str:
        """For the setting `database.url`."""
        return f"sqlite:///{self.path}"

    @property
    def bulk_change_id(self) -> int:
        """The only one, or the first."""
        return self.bulk_change_ids[0]

    def iccids(self, bulk_change_id: int) -> set[str]:
        """The devices of one bulk change."""
        query = "SELECT ICCID FROM M2M_DeviceChange WHERE BulkChangeId = ?"
        with sqlite3.connect(self.path) as connection:
            found = {row[0] for row in connection.execute(query, (bulk_change_id,))}
        connection.close()
        return found

    def settled(self) -> int:
        """How many rows are settled so far; looks without disturbing who writes."""
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as connection:
            query = "SELECT count(*) FROM M2M_DeviceChange WHERE IsProcessed = 1"
            found = int(connection.execute(query).fetchone()[0])
        connection.close()
        return found


def seeded(path: Path, devices: int, *, bulk_changes: int = 1, strangers: int = 0) -> Workload:
    """A new database with so many devices of the carrier's fleet, shared out to the bulk changes.

    `strangers` more, in each bulk change, are not known to the carrier.
    """
    for old in path.parent.glob(path.name + "*"):
        old.unlink()
    database = Database.open(f"sqlite:///{path}")
    init_database(database)
    database.close()
    fleet = Fleet(SandboxConfig(devices=devices))
    order = list(range(devices))
    random.Random(1).shuffle(order)
    ids = tuple(range(1, bulk_changes + 1))
    with sqlite3.connect(path) as connection:
        header = f"INSERT INTO BulkChange (Id, ServiceProviderId, ChangeRequestType, Status, {_COMMON}) "
        connection.executemany(
            header + f"VALUES (?, 2, 'StatusUpdate', 'NEW', {_VALUES})", [(number,) for number in ids]
        )
        for number in ids:
            iccids = (fleet.iccid(place) for place in order[number - 1 :: bulk_changes])
            _add(connection, number, iccids)
            _add(connection, number, (f"8914877{place:012d}0" for place in range(strangers)))
    connection.close()
    return Workload(path, ids)


def _add(connection: sqlite3.Connection, number: int, iccids: Iterable[str]) -> None:
    rows: Iterator[tuple[int, str, str]] = ((number, iccid, '{"UpdateStatus": "active"}') for iccid in iccids)
    columns = f"BulkChangeId, ICCID, ChangeRequest, Status, IsProcessed, HasErrors, {_COMMON}"
    connection.executemany(
        f"INSERT INTO M2M_DeviceChange ({columns}) VALUES (?, ?, ?, 'NEW', 0, 0, {_VALUES})", rows
    )
