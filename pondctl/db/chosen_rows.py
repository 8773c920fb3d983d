"""Rows that are picked one by one: those that failed, and those that name certain devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import ROWS_A_STATEMENT, contains
from pondctl.db.host_tables import HostTables
from pondctl.db.row_reads import read_rows, select_rows
from pondctl.db.work_rows import is_failed, is_unsettled, is_work
from pondctl.errors import ConfigurationError
from pondctl.models import BulkStatus, DeviceChange

_ENDS: Final = (BulkStatus.PROCESSED, BulkStatus.ERROR)
# How SIM storage pads a number, and what people put between its digits.
_PADDINGS: Final = ("", "F", "f")
_FILLERS: Final = (" ", "\t", "\u00a0", "-")


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row that names a device, whose bulk change it is in, and whether it is still open."""

    id: int
    bulk_change_id: int
    service_provider_id: int
    iccid: str
    is_open: bool


class ChosenRows:
    """Reads `M2M_DeviceChange`; lists of ids are at most `ROWS_A_STATEMENT` long."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._row = tables.device_change
        self._header = tables.bulk_change

    def page_failed(
        self, bulk_change_id: int | None, after_id: int, limit: int, *, since: datetime | None = None
    ) -> list[DeviceChange]:
        """The next rows settled with an error, of one bulk change or of all; `since`: not earlier."""
        row = self._row
        query = select_rows(row).where(is_failed(row), row["Id"] > after_id)
        if bulk_change_id is not None:
            query = query.where(row["BulkChangeId"] == bulk_change_id)
        if since is not None:
            query = query.where(self._changed() >= since)
        return read_rows(self._connection, query.order_by(row["Id"]).limit(limit))

    def among(self, bulk_change_id: int, ids: Sequence[int]) -> list[DeviceChange]:
        """Those that are not deleted, whatever they say."""
        row = self._row
        query = self._among(bulk_change_id, ids).where(row.alive())
        return read_rows(self._connection, query.order_by(row["Id"]))

    def failed_among(self, bulk_change_id: int, ids: Sequence[int]) -> list[DeviceChange]:
        """Those that are settled with an error."""
        row = self._row
        query = self._among(bulk_change_id, ids).where(is_failed(row))
        return read_rows(self._connection, query.order_by(row["Id"]))

    def work_among(self, bulk_change_id: int, ids: Sequence[int]) -> list[DeviceChange]:
        """Those that `page_work` would give."""
        row = self._row
        query = self._among(bulk_change_id, ids).where(is_work(row, bulk_change_id))
        return read_rows(self._connection, query.order_by(row["Id"]))

    def unsettled_among(self, ids: Sequence[int], *, since: datetime | None = None) -> list[DeviceChange]:
        """Those that need further work, in whatever bulk change."""
        row = self._row
        query = select_rows(row).where(row["Id"].in_(ids), is_unsettled(row))
        if since is not None:
            query = query.where(self._changed() >= since)
        return read_rows(self._connection, query.order_by(row["Id"]))

    def naming(self, iccids: Iterable[str]) -> Iterator[NamedRow]:
        """The rows that name these devices, given as they are sent; padded ones too, by the index."""
        for chunk in chunks(iccids, ROWS_A_STATEMENT // len(_PADDINGS)):
            yield from self._named(
                self._row["ICCID"].in_([i + padding for i in chunk for padding in _PADDINGS])
            )

    def page_oddly_spelt(self, after_id: int, limit: int) -> list[NamedRow]:
        """The next open rows whose ICCID has blanks or dashes in it, in bulk changes that have not ended."""
        row = self._row
        odd = sa.or_(*(contains(row["ICCID"], filler) for filler in _FILLERS))
        open_here = sa.and_(is_unsettled(row), self._header["Status"].not_in(_ENDS), row["Id"] > after_id)
        return self._named(sa.and_(odd, open_here), limit)

    def _named(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[NamedRow]:
        row, header = self._row, self._header
        work = sa.and_(is_work(row, header["Id"]), header["Status"].not_in(_ENDS))
        is_open = sa.case((sa.or_(is_unsettled(row), work), 1), else_=0)
        query = (
            sa.select(row["Id"], header["Id"], header["ServiceProviderId"], row["ICCID"], is_open)
            .join_from(row.table, header.table, row["BulkChangeId"] == header["Id"])
            .where(where, row.alive(), header.alive())
            .order_by(row["Id"])
            .limit(limit)
        )
        return [NamedRow(*found[:4], bool(found[4])) for found in self._connection.execute(query)]

    def _among(self, bulk_change_id: int, ids: Sequence[int]) -> sa.Select[Any]:
        row = self._row
        return select_rows(row).where(row["Id"].in_(ids), row["BulkChangeId"] == bulk_change_id)

    def _changed(self) -> sa.ColumnElement[datetime]:
        """When the row was last written to, as far as it says."""
        dates = [self._row[name] for name in ("LastModified", "ProcessedDate") if self._row.has(name)]
        if not dates:
            raise ConfigurationError(
                "M2M_DeviceChange has neither LastModified nor ProcessedDate here: "
                "when a row failed is not known"
            )
        return sa.func.coalesce(*dates) if len(dates) > 1 else dates[0]
