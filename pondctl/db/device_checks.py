"""When each device was last held against its carrier, where devices are asked about one by one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.dialects import utcnow
from pondctl.db.own_tables import OwnTables


class DeviceCheck(NamedTuple):
    """A device and when it was looked at."""

    id: int
    iccid: str
    checked_at: datetime


class DeviceChecks:
    """Reads and writes the table `device_check`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.device_check

    def page(self, after_id: int, limit: int) -> list[DeviceCheck]:
        """The next devices by id."""
        t = self._table.c
        query = sa.select(t.id, t.iccid, t.checked_at).where(t.id > after_id).order_by(t.id).limit(limit)
        return [DeviceCheck._make(row) for row in self._connection.execute(query)]

    def mark(self, iccids: Collection[str]) -> None:
        """These were looked at now."""
        t = self._table.c
        for chunk in chunks(iccids):
            known = set(self._connection.execute(sa.select(t.iccid).where(t.iccid.in_(chunk))).scalars())
            if known:
                update = sa.update(self._table).where(t.iccid.in_(sorted(known)))
                self._connection.execute(update.values(checked_at=utcnow()))
            insert = sa.insert(self._table).inline().values(iccid=sa.bindparam("new"), checked_at=utcnow())
            missing = [{"new": iccid} for iccid in chunk if iccid not in known]
            execute_many(self._connection, insert, missing)
