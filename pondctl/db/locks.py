"""Operators' locks on devices: a locked device is never terminated."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import utcnow
from pondctl.db.own_tables import OwnTables
from pondctl.db.step_records import DeviceLock

_KEYS_A_STATEMENT: Final = 500


class DeviceLocks:
    """Reads and writes the table `device_lock`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.device_lock

    def add(self, iccid: str, reason: str, locked_by: str) -> bool:
        """Lock a device; False where it is locked already, whose reason then stays."""
        if self.find([iccid]):
            return False
        row = {"iccid": iccid, "reason": reason, "locked_by": locked_by, "locked_at": utcnow()}
        # Lost to another in this very moment: the conflict redoes the unit, which then sees it.
        self._connection.execute(sa.insert(self._table).inline().values(row))
        return True

    def remove(self, iccid: str) -> bool:
        """Take the lock off; False where there was none."""
        delete = sa.delete(self._table).where(self._table.c.iccid == iccid)
        return self._connection.execute(delete).rowcount == 1

    def find(self, iccids: Iterable[str]) -> dict[str, DeviceLock]:
        """The locks on these devices, by ICCID."""
        found: dict[str, DeviceLock] = {}
        for chunk in chunks(iccids, _KEYS_A_STATEMENT):
            rows = self._connection.execute(_find(self._table), {"iccids": chunk})
            found.update((row[0], DeviceLock(*row)) for row in rows)
        return found


@lru_cache(maxsize=8)  # every turn of a run needs it
def _find(table: sa.Table) -> sa.Select[Any]:
    t = table.c
    query = sa.select(t.iccid, t.reason, t.locked_by, t.locked_at)
    return query.where(t.iccid.in_(sa.bindparam("iccids", expanding=True)))
