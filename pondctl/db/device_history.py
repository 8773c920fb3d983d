"""What pondctl itself has kept about one device and its bulk changes; lists are newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from pondctl.db.own_tables import OwnTables

Row = dict[str, Any]


class DeviceHistory:
    """Reads pondctl's own tables."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._outcome = tables.outcome.c
        self._run = tables.run.c
        self._message = tables.message.c
        self._letter = tables.dead_letter.c

    def outcomes(self, iccid: str, limit: int) -> list[Row]:
        """What runs decided about it, with their command; what was simply done is not kept."""
        o, r = self._outcome, self._run
        about = (o.outcome, o.category, o.carrier_state, o.detail, o.device_change_id)
        query = (
            sa.select(o.run_id, *about, r.command, r.target, r.started_at, r.finished_at)
            .join_from(o.id.table, r.id.table, o.run_id == r.run_id)
            .where(o.iccid == iccid)
        )
        return self._read(query.order_by(o.id.desc()).limit(limit))

    def messages(self, bulk_change_ids: Sequence[int], limit: int) -> list[Row]:
        """The messages about some bulk changes, whatever became of them."""
        t = self._message
        names = ("bulk_change_id", "retry_number", "state", "created_at", "not_before", "changed_at", "error")
        query = sa.select(*(t[name] for name in names)).where(t.bulk_change_id.in_(bulk_change_ids))
        return self._read(query.order_by(t.id.desc()).limit(limit)) if bulk_change_ids else []

    def dead_letters(self, bulk_change_ids: Sequence[int], limit: int) -> list[Row]:
        """The dead letters about some bulk changes."""
        t = self._letter
        names = ("id", "bulk_change_id", "category", "reason", "state", "created_at")
        query = sa.select(*(t[name] for name in names)).where(t.bulk_change_id.in_(bulk_change_ids))
        return self._read(query.order_by(t.id.desc()).limit(limit)) if bulk_change_ids else []

    def runs(self, bulk_change_ids: Sequence[int], limit: int) -> list[Row]:
        """The runs over some bulk changes."""
        t = self._run
        names = ("run_id", "command", "target", "state", "actor", "reason", "started_at", "finished_at")
        targets = [f"bulk_change:{each}" for each in bulk_change_ids]
        query = sa.select(*(t[name] for name in names)).where(t.target.in_(targets))
        return self._read(query.order_by(t.id.desc()).limit(limit)) if targets else []

    def _read(self, query: sa.Select[Any]) -> list[Row]:
        return [dict(row._mapping) for row in self._connection.execute(query)]
