"""The host's packages row by row: read for comparison, mended only while they say what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.dialects import utcnow
from pondctl.db.host_tables import HostTables
from pondctl.db.step_records import RatePlanRow
from pondctl.models import normalize_iccid

_BY: Final = "pondctl"
_PADDINGS: Final = ("", "F", "f")
_KEYS_A_STATEMENT: Final = 300
_COLUMNS: Final = ("Id", "ICCID", "PackageId", "PackageTypeId", "Status", "ServiceProviderId")


class PackageRow(NamedTuple):
    """A row of `PondDeviceCarrierRatePlan`; `iccid` is as the host wrote it."""

    id: int
    iccid: str
    package_id: str
    package_type_id: int
    status: str
    service_provider_id: int

    @property
    def is_found(self) -> bool:
        """Whether `of` finds the row: its ICCID is spelt as SIM storage spells it."""
        iccid = normalize_iccid(self.iccid)
        return iccid is not None and self.iccid.removeprefix(iccid) in _PADDINGS


@dataclass(frozen=True, slots=True)
class PackageFix:
    """A row that is to say what the carrier says. No type: it stays as it is."""

    row_id: int
    was: str
    becomes: str
    package_type_id: int | None


class PackageRows:
    """Reads and mends `PondDeviceCarrierRatePlan`."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._plan = tables.rate_plan

    def page(self, after_id: int, limit: int) -> list[PackageRow]:
        """The next rows by id."""
        row_id = self._plan["Id"]
        return self._read(self._select().where(row_id > after_id).order_by(row_id).limit(limit))

    def of(self, iccids: Iterable[str]) -> list[PackageRow]:
        """All rows of these devices, in the spellings that SIM storage has for them."""
        found: list[PackageRow] = []
        for chunk in chunks(iccids, _KEYS_A_STATEMENT):
            spelt = [iccid + padding for iccid in chunk for padding in _PADDINGS]
            query = self._select().where(self._plan["ICCID"].in_(spelt)).order_by(self._plan["Id"])
            found += self._read(query)
        return found

    def correct(self, fixes: Sequence[PackageFix]) -> set[int]:
        """Write the status (and the type); returns the ids of those that still said what was seen."""
        before = self._statuses(fix.row_id for fix in fixes)
        good = [fix for fix in fixes if before.get(fix.row_id) == fix.was]
        for typed in (True, False):
            alike = [fix for fix in good if (fix.package_type_id is not None) is typed]
            execute_many(self._connection, self._update(typed), [_parameters(fix) for fix in alike])
        # Somebody else may have written in between, and drivers do not tell which of many rows were hit.
        after = self._statuses(fix.row_id for fix in good)
        return {fix.row_id for fix in good if after.get(fix.row_id, "").rstrip(" ") == fix.becomes}

    def add_missing(self, rows: Sequence[RatePlanRow]) -> set[tuple[str, str]]:
        """Write packages that have no row yet; returns (ICCID, package id) of those that had none."""
        there = {(row.iccid, row.package_id) for row in self.of({row.iccid for row in rows})}
        new = {(row.iccid, row.package_id): row for row in rows}
        missing = [row for key, row in new.items() if key not in there and row.package_type_id is not None]
        execute_many(self._connection, self._insert(), [_new(row) for row in missing])
        return {(row.iccid, row.package_id) for row in missing}

    def _statuses(self, ids: Iterable[int]) -> dict[int, str]:
        plan = self._plan
        found: dict[int, str] = {}
        for chunk in chunks(ids):
            query = sa.select(plan["Id"], plan["Status"]).where(plan["Id"].in_(chunk))
            found.update((row[0], row[1]) for row in self._connection.execute(query))
        return found

    def _update(self, typed: bool) -> sa.Update:
        plan = self._plan
        values: dict[str, Any] = {"Status": sa.bindparam("becomes"), "LastModified": utcnow()}
        if typed:
            values["PackageTypeId"] = sa.bindparam("type_id")
        return (
            sa.update(plan.table)
            .where(plan["Id"] == sa.bindparam("row_id"), plan["Status"] == sa.bindparam("was"))
            .values(plan.present(values))
        )

    def _insert(self) -> sa.Insert:
        plan = self._plan
        values = {
            "ICCID": sa.bindparam("iccid"),
            "PackageId": sa.bindparam("package_id"),
            "PackageTypeId": sa.bindparam("type_id"),
            "Status": sa.bindparam("status"),
            "DataUsageRemainingInBytes": sa.bindparam("left_bytes"),
            "ServiceProviderId": sa.bindparam("provider"),
            "ProcessedBy": _BY,
            "CreatedDate": utcnow(),
            "LastModified": utcnow(),
            "IsActive": True,
        }
        return sa.insert(plan.table).inline().values(plan.present(values))

    def _select(self) -> sa.Select[Any]:
        return sa.select(*(self._plan[name] for name in _COLUMNS))

    def _read(self, query: sa.Select[Any]) -> list[PackageRow]:
        return [PackageRow._make(found) for found in self._connection.execute(query)]


def _parameters(fix: PackageFix) -> dict[str, Any]:
    given: dict[str, Any] = {"row_id": fix.row_id, "was": fix.was, "becomes": fix.becomes}
    return given if fix.package_type_id is None else given | {"type_id": fix.package_type_id}


def _new(row: RatePlanRow) -> dict[str, Any]:
    return {
        "iccid": row.iccid,
        "package_id": row.package_id,
        "type_id": row.package_type_id,
        "status": row.status,
        "left_bytes": row.data_usage_remaining_in_bytes,
        "provider": row.service_provider_id,
    }
