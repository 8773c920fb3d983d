"""Which bulk changes have work left, asked for many of them in one statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import text, utc_in
from pondctl.db.host_tables import HostTable, HostTables
from pondctl.db.work_rows import is_unsettled, is_work
from pondctl.models import BulkChange, BulkStatus

_BY: Final = "pondctl"
_STARTED: Final = (str(BulkStatus.PENDING), str(BulkStatus.PROCESSING))
_NOTHING, _WORK, _UNSETTLED = range(3)
_ENDS: Final = (BulkStatus.PROCESSED, BulkStatus.ERROR)


class KnownBulkChange(NamedTuple):
    """A header, and whether rows are left: as ThingSpace has it (`has_work`), and as the host has it."""

    bulk_change: BulkChange
    has_work: bool
    has_unsettled: bool

    @property
    def ended(self) -> bool:
        """Whether the header says that nothing is to come."""
        return self.bulk_change.status in _ENDS

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to come, whoever asks."""
        return self.ended and not self.has_work and not self.has_unsettled


class OpenWork:
    """Reads headers together with what their rows, and their log, say."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._header = tables.bulk_change
        self._row = tables.device_change
        self._log = tables.change_log

    def find(self, bulk_change_ids: Collection[int]) -> dict[int, KnownBulkChange]:
        """Those of them that exist."""
        found: dict[int, KnownBulkChange] = {}
        for chunk in chunks(bulk_change_ids):
            rows = self._connection.execute(_find(self._header, self._row), {"ids": chunk}).all()
            found |= {row[0]: _known(row) for row in rows}
        return found

    def page_forgotten(
        self, after_id: int, limit: int, *, oldest_seconds: float, quiet_seconds: float
    ) -> list[BulkChange]:
        """The next bulk changes that were started, have not ended, and that nobody else is seen to work on.

        Started: the header says so, or pondctl made it. Quiet: for that long nobody else has logged a
        step and, where pondctl has not touched the header yet, it is not newer either.
        """
        header, log = self._header, self._log
        started = header["Status"].in_(_STARTED)
        made_here = sa.and_(header["Status"] == str(BulkStatus.NEW), header["CreatedBy"].startswith(_BY))
        touched_here = sa.func.coalesce(header["ProcessedBy"], text("")) == _BY
        others = sa.and_(
            log["BulkChangeId"] == header["Id"],
            log["ProcessedBy"] != _BY,
            log["ProcessedDate"] > utc_in(-quiet_seconds),
        )
        query = (
            _select(header, self._row)
            .where(
                sa.or_(started, made_here),
                header["Id"] > after_id,
                ~_before(header["CreatedDate"], oldest_seconds),
                sa.or_(touched_here, made_here, _before(header["CreatedDate"], quiet_seconds)),
                ~sa.exists().where(others),
            )
            .order_by(header["Id"])
            .limit(limit)
        )
        return [_known(row).bulk_change for row in self._connection.execute(query)]


@lru_cache(maxsize=8)
def _find(header: HostTable, row: HostTable) -> sa.Select[Any]:
    """Built once: a worker asks this for each batch, and building takes longer than the answer."""
    return _select(header, row).where(header["Id"].in_(sa.bindparam("ids", expanding=True)))


def _select(header: HostTable, row: HostTable) -> sa.Select[Any]:
    columns = ("Id", "ServiceProviderId", "TenantId", "ChangeRequestType", "Status", "CreatedBy")
    dates = ("CreatedDate", "ProcessedDate")
    unsettled = sa.and_(row["BulkChangeId"] == header["Id"], is_unsettled(row))
    # What is unsettled is work too: where there is none, the rows are read once.
    left = sa.case(
        (~sa.exists().where(is_work(row, header["Id"])), _NOTHING),
        (~sa.exists().where(unsettled), _WORK),
        else_=_UNSETTLED,
    )
    return sa.select(*(header[name] for name in (*columns, *dates)), left.label("left")).where(header.alive())


def _before(date: sa.ColumnElement[datetime], seconds: float) -> sa.ColumnElement[bool]:
    """Whether the date is longer ago than that; a date that is not there is neither old nor new."""
    return sa.and_(date.is_not(None), date < utc_in(-seconds))


def _known(row: Sequence[Any]) -> KnownBulkChange:
    bulk_change = BulkChange(row[0], row[1], row[2], row[3] or "", row[4], *row[5:8])
    return KnownBulkChange(bulk_change, row[8] != _NOTHING, row[8] == _UNSETTLED)
