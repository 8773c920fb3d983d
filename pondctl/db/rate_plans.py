"""The host's table of packages: what stands at the carrier is what stands here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.dialects import utcnow
from pondctl.db.host_tables import HostTables
from pondctl.db.step_records import RatePlanRow

_ACTIVE: Final = "ACTIVE"
_TERMINATED: Final = "TERMINATED"
_BY: Final = "pondctl"
_PADDINGS: Final = ("", "F", "f")
_KEYS_A_STATEMENT: Final = 500


@dataclass(frozen=True, slots=True)
class Booked:
    """A device's rows: the service provider of the newest, and the packages that are ACTIVE to the host."""

    service_provider_id: int
    active: frozenset[str]


class RatePlans:
    """Reads and writes `PondDeviceCarrierRatePlan`. Every write can safely come twice."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._tables = tables
        self._plan = tables.rate_plan

    def booked(self, iccids: Iterable[str]) -> dict[str, Booked]:
        """What the host has for each of these devices that it has rows of."""
        found: dict[str, Booked] = {}
        for iccid, provider, package_id, status in self._of(iccids, _booked(self._tables)):
            active = found[iccid].active if iccid in found else frozenset()
            found[iccid] = Booked(provider, active | {package_id} if status == _ACTIVE else active)
        return found

    def save(self, standing: Mapping[str, Sequence[RatePlanRow]]) -> None:
        """Write all packages of these devices as the carrier shows them.

        A row that says ACTIVE of a package which the carrier does not list any more is over.
        """
        there = self._there(standing)
        changed: list[dict[str, Any]] = []
        missing: list[dict[str, Any]] = []
        for iccid, rows in standing.items():
            of_device = there.get(iccid, {})
            for row in rows:
                known = of_device.pop(row.package_id, None)
                if known is None:
                    missing += [] if row.package_type_id is None else [_new(row)]
                else:
                    changed += _changes(known, row)
            for forgotten in of_device.values():
                changed += [_change(i, status, _TERMINATED) for i, status in forgotten if status == _ACTIVE]
        execute_many(self._connection, _update(self._tables), changed)
        execute_many(self._connection, _insert(self._tables), missing)

    def _there(self, iccids: Iterable[str]) -> dict[str, dict[str, list[tuple[int, str]]]]:
        """(id, status) of the rows, by ICCID and package id; a host may have doubled some."""
        found: dict[str, dict[str, list[tuple[int, str]]]] = {}
        for iccid, row_id, package_id, status in self._of(iccids, _there(self._tables)):
            found.setdefault(iccid, {}).setdefault(package_id, []).append((row_id, status))
        return found

    def _of(self, iccids: Iterable[str], query: sa.Select[Any]) -> Iterator[tuple[Any, ...]]:
        """Rows of these devices, the ICCID first and bare, however the host has padded it.

        A column of a fixed width gives its blanks too, where SQL Server finds what is equal without.
        """
        for chunk in chunks(iccids, _KEYS_A_STATEMENT):
            spelt = [iccid + padding for iccid in chunk for padding in _PADDINGS]
            for iccid, *rest in self._connection.execute(query, {"iccids": spelt}):
                bare = (value.rstrip(" ") if isinstance(value, str) else value for value in rest)
                yield (iccid.rstrip(" ").rstrip("Ff"), *bare)


# Statements that every turn of a run needs are built once for each database.
@lru_cache(maxsize=8)
def _there(tables: HostTables) -> sa.Select[Any]:
    plan = tables.rate_plan
    query = sa.select(plan["ICCID"], plan["Id"], plan["PackageId"], plan["Status"])
    return query.where(_of_devices(tables))


@lru_cache(maxsize=8)
def _booked(tables: HostTables) -> sa.Select[Any]:
    plan = tables.rate_plan
    query = sa.select(*(plan[name] for name in ("ICCID", "ServiceProviderId", "PackageId", "Status")))
    return query.where(_of_devices(tables)).order_by(plan["Id"])


def _of_devices(tables: HostTables) -> sa.ColumnElement[bool]:
    return tables.rate_plan["ICCID"].in_(sa.bindparam("iccids", expanding=True))


@lru_cache(maxsize=8)
def _update(tables: HostTables) -> sa.Update:
    plan = tables.rate_plan
    return (
        sa.update(plan.table)
        .where(plan["Id"] == sa.bindparam("row_id"), plan["Status"] == sa.bindparam("was"))
        .values(plan.present({"Status": sa.bindparam("becomes"), "LastModified": utcnow()}))
    )


@lru_cache(maxsize=8)
def _insert(tables: HostTables) -> sa.Insert:
    plan = tables.rate_plan
    values = {
        "ICCID": sa.bindparam("iccid"),
        "PackageId": sa.bindparam("package_id"),
        "PackageTypeId": sa.bindparam("package_type_id"),
        "Status": sa.bindparam("status"),
        "DataUsageRemainingInBytes": sa.bindparam("left"),
        "ServiceProviderId": sa.bindparam("provider"),
        "ProcessedBy": _BY,
        "CreatedDate": utcnow(),
        "LastModified": utcnow(),
        "IsActive": True,
    }
    return sa.insert(plan.table).inline().values(plan.present(values))


def _changes(known: Sequence[tuple[int, str]], row: RatePlanRow) -> list[dict[str, Any]]:
    return [_change(row_id, status, row.status) for row_id, status in known if status != row.status]


def _change(row_id: int, was: str, becomes: str) -> dict[str, Any]:
    return {"row_id": row_id, "was": was, "becomes": becomes}


def _new(row: RatePlanRow) -> dict[str, Any]:
    return {
        "iccid": row.iccid,
        "package_id": row.package_id,
        "package_type_id": row.package_type_id,
        "status": row.status,
        "left": row.data_usage_remaining_in_bytes,
        "provider": row.service_provider_id,
    }
