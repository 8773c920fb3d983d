"""Everything the host's tables say about one device; lists are newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.host_tables import HostTable, HostTables

# How SIM storage pads a number; an index finds these spellings.
_PADDINGS: Final = ("", "F", "f")
_ROW: Final = (
    "Id",
    "BulkChangeId",
    "ICCID",
    "MSISDN",
    "Status",
    "StatusDetails",
    "HasErrors",
    "IsProcessed",
    "CreatedDate",
    "ProcessedBy",
    "ProcessedDate",
    "LastModified",
)
_HEADER: Final = ("ChangeRequestType", "ServiceProviderId", "Status", "CreatedBy")
_PACKAGE: Final = (
    "PackageId",
    "PackageTypeId",
    "Status",
    "DataUsageRemainingInBytes",
    "ServiceProviderId",
    "CreatedDate",
    "LastModified",
)
_LOG: Final = (
    "BulkChangeId",
    "M2MDeviceChangeId",
    "LogEntryDescription",
    "HasErrors",
    "ErrorText",
    "ResponseText",
    "ProcessedBy",
    "ProcessedDate",
)
_DEVICE: Final = ("id", "ICCID", "MSISDN", "Status", "ServiceProviderId", "LastModified")

Row = dict[str, Any]


class DeviceRows:
    """Reads; the keys of a row are the names of the contract."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._tables = tables

    def iccids_of(self, numbers: Sequence[str], limit: int) -> list[str]:
        """The devices whose rows have one of these numbers; as the host spells them, newest first."""
        row = self._tables.device_change
        query = (
            sa.select(row["ICCID"], sa.func.max(row["Id"]))
            .where(row["MSISDN"].in_(numbers), row["ICCID"].is_not(None), row.visible())
            .group_by(row["ICCID"])
            .order_by(sa.func.max(row["Id"]).desc())
            .limit(limit)
        )
        return [found[0] for found in self._connection.execute(query)]

    def changes(self, iccid: str, limit: int) -> list[Row]:
        """Its rows, each with `Header…` columns of its bulk change."""
        row, header = self._tables.device_change, self._tables.bulk_change
        columns = _labelled(row, _ROW) + [header[name].label(f"Header{name}") for name in _HEADER]
        query = (
            sa.select(*columns)
            .join_from(row.table, header.table, row["BulkChangeId"] == header["Id"])
            .where(row["ICCID"].in_(_spelt(iccid)), row.visible())
            .order_by(row["Id"].desc())
            .limit(limit)
        )
        return self._read(query)

    def packages(self, iccid: str, limit: int) -> list[Row]:
        """Its packages."""
        plan = self._tables.rate_plan
        query = sa.select(*_labelled(plan, _PACKAGE)).where(plan["ICCID"].in_(_spelt(iccid)), plan.visible())
        return self._read(query.order_by(plan["Id"].desc()).limit(limit))

    def log(self, rows: Sequence[Row], limit: int) -> list[Row]:
        """What the step log says about these rows."""
        log = self._tables.change_log
        query = sa.select(*_labelled(log, _LOG)).where(
            log["BulkChangeId"].in_(sorted({row["BulkChangeId"] for row in rows})),
            log["M2MDeviceChangeId"].in_([row["Id"] for row in rows]),
        )
        return self._read(query.order_by(log["Id"].desc()).limit(limit)) if rows else []

    def device(self, iccid: str) -> Row | None:
        """The host's own row of the device, where its table is mapped."""
        device = self._tables.device
        if device is None:
            return None
        its = (device["ICCID"].in_(_spelt(iccid)), device.visible())
        query = sa.select(*_labelled(device, _DEVICE)).where(*its)
        found = self._read(query.order_by(device["id"].desc()).limit(1))
        return found[0] if found else None

    def hidden(self, iccids: Sequence[str]) -> set[str]:
        """Those of the devices that are only other service providers' than this profile may see."""
        if not self._tables.service_provider_ids:
            return set()
        return {iccid for iccid in iccids if self._is_hidden(iccid)}

    def _is_hidden(self, iccid: str) -> bool:
        row, header, plan = self._tables.device_change, self._tables.bulk_change, self._tables.rate_plan
        asked = sa.select(header["ServiceProviderId"]).join_from(
            row.table, header.table, row["BulkChangeId"] == header["Id"]
        )
        queries = [asked.where(row["ICCID"].in_(_spelt(iccid)), row.alive())]
        for table in filter(None, (plan, self._tables.device)):
            queries.append(sa.select(table["ServiceProviderId"]).where(table["ICCID"].in_(_spelt(iccid))))
        found = {row[0] for query in queries for row in self._connection.execute(query.distinct())}
        return bool(found) and all(map(self._tables.hides, found))

    def _read(self, query: sa.Select[Any]) -> list[Row]:
        return [dict(row._mapping) for row in self._connection.execute(query)]


def _labelled(table: HostTable, names: Sequence[str]) -> list[sa.Label[Any]]:
    return [table[name].label(name) for name in names]


def _spelt(iccid: str) -> list[str]:
    return [iccid + padding for padding in _PADDINGS]
