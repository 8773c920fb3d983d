"""Rows of a bulk change as a report shows them: with the time of their last change."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from pondctl.db.host_tables import HostTables


class ReportRow(NamedTuple):
    """One device change; `iccid` is as the host wrote it."""

    id: int
    iccid: str | None
    msisdn: str | None
    details: str | None
    has_errors: bool
    is_processed: bool
    changed_at: datetime | None


class ReportRows:
    """Reads `M2M_DeviceChange`."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._row = tables.device_change

    def page(self, bulk_change_id: int, after_id: int, limit: int) -> list[ReportRow]:
        """The next rows by id; `after_id` 0 begins."""
        row = self._row
        changed = sa.func.coalesce(row["ProcessedDate"], row["LastModified"])
        names = (row["Id"], row["ICCID"], row["MSISDN"], row["StatusDetails"], row["HasErrors"])
        query = (
            sa.select(*names, row["IsProcessed"], changed)
            .where(row["BulkChangeId"] == bulk_change_id, row.alive(), row["Id"] > after_id)
            .order_by(row["Id"])
            .limit(limit)
        )
        return [
            ReportRow(i, iccid, msisdn, details, bool(errors), bool(processed), changed_at)
            for i, iccid, msisdn, details, errors, processed, changed_at in self._connection.execute(query)
        ]
