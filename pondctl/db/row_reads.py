"""Reads rows of the host system into records; every repository of rows reads them alike."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.host_tables import HostTable
from pondctl.models import DeviceChange

_COLUMNS: Final = (
    "Id",
    "BulkChangeId",
    "ICCID",
    "MSISDN",
    "Status",
    "StatusDetails",
    "HasErrors",
    "IsProcessed",
    "ProcessedBy",
    "ChangeRequest",
    "DeviceId",
)


def select_rows(row: HostTable) -> sa.Select[Any]:
    """A query for whole rows, to be narrowed and given to `read_rows`."""
    return sa.select(*(row[name] for name in _COLUMNS))


def read_rows(connection: sa.Connection, query: sa.Select[Any]) -> list[DeviceChange]:
    """The rows of a query that `select_rows` began."""
    return [
        DeviceChange(i, b, iccid, msisdn, status, details, bool(errors), processed, *more)
        for i, b, iccid, msisdn, status, details, errors, processed, *more in connection.execute(query).all()
    ]
