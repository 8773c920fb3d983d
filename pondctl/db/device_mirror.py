"""The host's `Device` table, where `database.names` maps it: it changes with the row that it mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.dialects import utcnow
from pondctl.db.host_tables import HostTable, HostTables
from pondctl.db.work_rows import lacks_number

# The carrier's word: the host keeps it here as it is.
_ACTIVE: Final = "active"


def mirror_active(
    connection: sa.Connection, tables: HostTables, rows: Sequence[tuple[int, str]], *, over: bool = False
) -> None:
    """Give the devices of these (row id, MSISDN) their number, while their rows still lack it.

    `over`: also where the row has another number, which is about to be corrected.
    """
    device = tables.device
    if device is None:
        return
    numbers = dict(rows)
    by_id: list[dict[str, Any]] = []
    by_iccid: list[dict[str, Any]] = []
    for row_id, device_id, iccid, provider in _still_open(connection, tables, list(numbers), over):
        found = {"number": numbers[row_id], "state": _ACTIVE}
        if device_id is not None:
            by_id.append({**found, "device_id": device_id})
        else:
            by_iccid.append({**found, "iccid": iccid, "provider": provider})
    update = sa.update(device.table).values(_values(device))
    if by_id:
        execute_many(connection, update.where(device["id"] == sa.bindparam("device_id")), by_id)
    if by_iccid:
        same = (
            device["ICCID"] == sa.bindparam("iccid"),
            device["ServiceProviderId"] == sa.bindparam("provider"),
        )
        execute_many(connection, update.where(*same), by_iccid)


def _still_open(
    connection: sa.Connection, tables: HostTables, ids: list[int], over: bool
) -> list[sa.Row[Any, Any, Any, Any]]:
    row, header = tables.device_change, tables.bulk_change
    lacks = sa.true() if over else lacks_number(row)
    found: list[sa.Row[Any, Any, Any, Any]] = []
    for chunk in chunks(ids):
        query = (
            sa.select(row["Id"], row["DeviceId"], row["ICCID"], header["ServiceProviderId"])
            .join_from(row.table, header.table, row["BulkChangeId"] == header["Id"])
            .where(row["Id"].in_(chunk), lacks, row.alive())
        )
        found.extend(connection.execute(query).all())
    return found


def _values(device: HostTable) -> dict[str, Any]:
    values = {"MSISDN": sa.bindparam("number"), "LastModified": utcnow()}
    if device.has("Status"):
        values["Status"] = sa.bindparam("state")
    return device.present(values)
