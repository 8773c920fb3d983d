"""Every row of the host system in the order of its ids, as `reconcile` holds it against other places."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from pondctl.db.dialects import ROWS_A_STATEMENT, utcnow
from pondctl.db.host_tables import HostTables
from pondctl.db.work_rows import is_unsettled

_COLUMNS: Final = (
    "ICCID",
    "MSISDN",
    "Status",
    "StatusDetails",
    "HasErrors",
    "IsProcessed",
    "ChangeRequest",
)


class ComparedRow(NamedTuple):
    """A row as it stands. No `service_provider_id`: its bulk change does not exist.

    `moving`: it was written to since the time that was asked about.
    """

    id: int
    bulk_change_id: int
    service_provider_id: int | None
    moving: int
    iccid: str | None
    msisdn: str | None
    status: str | None
    status_details: str | None
    has_errors: bool | None
    is_processed: bool
    change_request: str | None


class ComparedRows:
    """Reads `M2M_DeviceChange` with the headers; nothing is filtered but what is deleted."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._row = tables.device_change
        self._header = tables.bulk_change
        self._log = tables.change_log

    def page(
        self, after_id: int, limit: int, since: datetime, *, bulk_change_id: int | None = None
    ) -> list[ComparedRow]:
        """The next rows by id; of one bulk change: those alone that are the newest of their device."""
        row, header = self._row, self._header
        columns = (row["Id"], row["BulkChangeId"], header["ServiceProviderId"], self._moving(since))
        query = (
            sa.select(*columns, *(row[name] for name in _COLUMNS))
            .join_from(
                row.table,
                header.table,
                sa.and_(row["BulkChangeId"] == header["Id"], header.alive()),
                isouter=True,
            )
            .where(row["Id"] > after_id, row.alive())
            .order_by(row["Id"])
            .limit(limit)
        )
        if bulk_change_id is not None:
            query = query.where(row["BulkChangeId"] == bulk_change_id, ~self._has_newer())
        return [ComparedRow._make(found) for found in self._connection.execute(query).all()]

    def headers(self, after_id: int, limit: int) -> list[tuple[int, str, int]]:
        """The next bulk changes by id: (id, status, service provider)."""
        header = self._header
        query = (
            sa.select(header["Id"], header["Status"], header["ServiceProviderId"])
            .where(header.alive(), header["Id"] > after_id)
            .order_by(header["Id"])
            .limit(limit)
        )
        return [(found[0], found[1], found[2]) for found in self._connection.execute(query)]

    def unsettled_counts(self, bulk_change_ids: list[int]) -> dict[int, int]:
        """How many rows of each of these bulk changes are not settled; those without any are missing."""
        row = self._row
        query = (
            sa.select(row["BulkChangeId"], sa.func.count())
            .where(row["BulkChangeId"].in_(bulk_change_ids), is_unsettled(row))
            .group_by(row["BulkChangeId"])
        )
        return {found[0]: found[1] for found in self._connection.execute(query)}

    def logged_for_nothing(self) -> Iterator[tuple[int, int]]:
        """(bulk change id, entries) of the change log where there is no such bulk change; streamed."""
        log, header = self._log, self._header
        known = sa.exists().where(header["Id"] == log["BulkChangeId"])
        query = (
            sa.select(log["BulkChangeId"], sa.func.count())
            .where(~known)
            .group_by(log["BulkChangeId"])
            .order_by(log["BulkChangeId"])
        )
        streamed = {"yield_per": ROWS_A_STATEMENT}
        for found in self._connection.execute(query, execution_options=streamed):
            yield found[0], found[1]

    def _moving(self, since: datetime) -> sa.ColumnElement[int]:
        row = self._row
        written = sa.func.coalesce(row["LastModified"], row["ProcessedDate"])
        # A date that is yet to come is somebody's wrong clock, not a sign of life.
        recent = sa.and_(written > since, written <= utcnow())
        return sa.case((recent, 1), else_=0).label("moving")

    def _has_newer(self) -> sa.ColumnElement[bool]:
        row = self._row
        other: Any = row.table.alias()
        alive = other.c.IsDeleted == sa.false() if row.has("IsDeleted") else sa.true()
        return sa.exists().where(row["ICCID"] == other.c.ICCID, row["Id"] < other.c.Id, alive)
