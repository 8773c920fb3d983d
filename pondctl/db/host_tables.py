"""The host system's tables, under the names they really have. pondctl never alters them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from pondctl.db.dialects import DATETIME, ROW_ID, TEXT
from pondctl.db.host_names import ColumnPlace, HostNames, QualifiedName
from pondctl.errors import ConfigurationError

_WHO: Final = sa.Unicode(100)


@dataclass(frozen=True, slots=True)
class _Spec:
    """A column of the contract: its type, whether NULL is allowed, whether it can be absent."""

    type: TypeEngine[Any]
    null: bool = False
    needed: bool = False


_COLUMNS: Final[Mapping[str, Mapping[str, _Spec]]] = {
    "BulkChange": {
        "Id": _Spec(ROW_ID, needed=True),
        "TenantId": _Spec(sa.Integer(), null=True),
        "ServiceProviderId": _Spec(sa.Integer(), needed=True),
        "ChangeRequestType": _Spec(sa.Unicode(100)),
        "Status": _Spec(sa.Unicode(50), needed=True),
        "CreatedBy": _Spec(_WHO),
        "CreatedDate": _Spec(DATETIME),
        "ProcessedBy": _Spec(_WHO, null=True),
        "ProcessedDate": _Spec(DATETIME, null=True),
        "IsActive": _Spec(sa.Boolean()),
        "IsDeleted": _Spec(sa.Boolean()),
    },
    "M2M_DeviceChange": {
        "Id": _Spec(ROW_ID, needed=True),
        "BulkChangeId": _Spec(sa.BigInteger(), needed=True),
        "DeviceId": _Spec(sa.Integer(), null=True),
        "ICCID": _Spec(sa.Unicode(50), null=True, needed=True),
        "MSISDN": _Spec(sa.Unicode(50), null=True, needed=True),
        "IpAddress": _Spec(sa.Unicode(50), null=True),
        "ChangeRequest": _Spec(TEXT, null=True),
        "Status": _Spec(sa.Unicode(50), null=True, needed=True),
        "StatusDetails": _Spec(sa.Unicode(500), null=True),
        "HasErrors": _Spec(sa.Boolean(), null=True, needed=True),
        "IsProcessed": _Spec(sa.Boolean(), needed=True),
        "ProcessedBy": _Spec(_WHO, null=True),
        "ProcessedDate": _Spec(DATETIME, null=True),
        "LastModified": _Spec(DATETIME, null=True),
        "CreatedBy": _Spec(_WHO),
        "CreatedDate": _Spec(DATETIME),
        "IsActive": _Spec(sa.Boolean()),
        "IsDeleted": _Spec(sa.Boolean()),
    },
    "PondDeviceCarrierRatePlan": {
        "Id": _Spec(ROW_ID, needed=True),
        "ICCID": _Spec(sa.Unicode(50), needed=True),
        "PackageId": _Spec(sa.Unicode(100), needed=True),
        "PackageTypeId": _Spec(sa.BigInteger(), needed=True),
        "Status": _Spec(sa.Unicode(50), needed=True),
        "DataUsageRemainingInBytes": _Spec(sa.BigInteger(), null=True),
        "ServiceProviderId": _Spec(sa.Integer(), needed=True),
        "ProcessedBy": _Spec(_WHO),
        "CreatedDate": _Spec(DATETIME),
        "LastModified": _Spec(DATETIME, null=True),
        "IsActive": _Spec(sa.Boolean()),
    },
    "DeviceBulkChangeLog": {
        "Id": _Spec(ROW_ID, needed=True),
        "BulkChangeId": _Spec(sa.BigInteger(), needed=True),
        "M2MDeviceChangeId": _Spec(sa.BigInteger(), null=True),
        "LogEntryDescription": _Spec(sa.Unicode(250), needed=True),
        "HasErrors": _Spec(sa.Boolean()),
        "ErrorText": _Spec(TEXT, null=True),
        "RequestText": _Spec(TEXT, null=True),
        "ResponseText": _Spec(TEXT, null=True),
        "ResponseStatus": _Spec(sa.Unicode(50), null=True),
        "ProcessedBy": _Spec(_WHO),
        "ProcessedDate": _Spec(DATETIME),
    },
    # Used only where `database.names` maps it; never created.
    "Device": {
        "id": _Spec(sa.Integer(), needed=True),
        "ICCID": _Spec(sa.Unicode(50), null=True, needed=True),
        "MSISDN": _Spec(sa.Unicode(50), null=True, needed=True),
        "Status": _Spec(sa.Unicode(50), null=True),
        "ServiceProviderId": _Spec(sa.Integer(), needed=True),
        "LastModified": _Spec(DATETIME, null=True),
    },
}
_INDEXES: Final = {
    "M2M_DeviceChange": ("BulkChangeId", "ICCID"),
    "PondDeviceCarrierRatePlan": ("ICCID",),
    "DeviceBulkChangeLog": ("BulkChangeId",),
}
# Nothing is written to these, so they may come from a view beside the table.
_READ_ONLY: Final = {("BulkChange", "ChangeRequestType"), ("M2M_DeviceChange", "ChangeRequest")}


class HostTable:
    """One host table: columns by their name in the contract, whatever they are called here."""

    def __init__(
        self, key: str, table: sa.Table, elsewhere: Mapping[str, sa.ScalarSelect[Any]], access: Access
    ) -> None:
        self.key = key
        self.table = table
        self._elsewhere = elsewhere
        self._access = access

    def __getitem__(self, column: str) -> sa.ColumnElement[Any]:
        """The column; a typed NULL where it is absent."""
        if column in self.table.c:
            return self.table.c[column]
        if column in self._elsewhere:
            return self._elsewhere[column].label(column)
        return sa.null().cast(_COLUMNS[self.key][column].type).label(column)

    def has(self, column: str) -> bool:
        """Whether the table itself has the column, so that it can be written."""
        return column in self.table.c

    def present(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Only those values whose column is here."""
        return {column: value for column, value in values.items() if column in self.table.c}

    def alive(self) -> sa.ColumnElement[bool]:
        """The row is not deleted."""
        return self["IsDeleted"] == sa.false() if self.has("IsDeleted") else sa.true()

    def visible(self) -> sa.ColumnElement[bool]:
        """The row is not deleted, and of a service provider that this profile may see."""
        allowed, header = self._access.service_provider_ids, self._access.header
        if not allowed:
            return self.alive()
        if "ServiceProviderId" in _COLUMNS[self.key]:
            return sa.and_(self.alive(), self["ServiceProviderId"].in_(sorted(allowed)))
        assert header is not None
        theirs = sa.select(header["Id"]).where(header["ServiceProviderId"].in_(sorted(allowed)))
        return sa.and_(self.alive(), self["BulkChangeId"].in_(theirs))


@dataclass(slots=True)
class Access:
    """Whose rows may be seen (none named: everybody's), and the table that tells whose a row is."""

    service_provider_ids: frozenset[int]
    header: HostTable | None = None


@dataclass(frozen=True, slots=True)
class HostTables:
    """All of them; `device` only where it is mapped."""

    bulk_change: HostTable
    device_change: HostTable
    rate_plan: HostTable
    change_log: HostTable
    device: HostTable | None
    metadata: sa.MetaData
    service_provider_ids: frozenset[int] = frozenset()

    def hides(self, service_provider_id: int) -> bool:
        """Whether `access.service_provider_ids` keeps the eyes off."""
        return bool(self.service_provider_ids) and service_provider_id not in self.service_provider_ids

    def required(self) -> tuple[HostTable, ...]:
        """The tables that pondctl cannot do without."""
        return (self.bulk_change, self.device_change, self.rate_plan, self.change_log)


def build_host_tables(names: Mapping[str, str], service_provider_ids: Collection[int] = ()) -> HostTables:
    """The tables under their real names; raises `ConfigurationError` where a name cannot be meant.

    With service providers, what is `visible` is theirs.
    """
    known = HostNames(names, {key: frozenset(columns) for key, columns in _COLUMNS.items()})
    metadata = sa.MetaData()
    with_device = any(key.partition(".")[0] == "Device" for key in names)
    access = Access(frozenset(service_provider_ids))
    access.header = _build("BulkChange", known, metadata, access)
    return HostTables(
        bulk_change=access.header,
        device_change=_build("M2M_DeviceChange", known, metadata, access),
        rate_plan=_build("PondDeviceCarrierRatePlan", known, metadata, access),
        change_log=_build("DeviceBulkChangeLog", known, metadata, access),
        device=_build("Device", known, sa.MetaData(), access) if with_device else None,
        metadata=metadata,
        service_provider_ids=access.service_provider_ids,
    )


def contract_columns(key: str) -> tuple[str, ...]:
    """The columns of a table by their names in the contract."""
    return tuple(_COLUMNS[key])


def _build(key: str, names: HostNames, metadata: sa.MetaData, access: Access) -> HostTable:
    place = names.table(key)
    columns: list[sa.Column[Any]] = []
    outside: dict[str, ColumnPlace] = {}
    for name, spec in _COLUMNS[key].items():
        real = names.column(key, name)
        if real is None and spec.needed:
            raise ConfigurationError(f"database.names: {key}.{name} cannot be absent")
        if real is None:
            continue
        if real.table is None:
            columns.append(_column(name, real.name, spec))
        elif (key, name) in _READ_ONLY:
            outside[name] = real
        else:
            raise ConfigurationError(f"database.names: {key}.{name} is written, so it is a column of {key}")
    # A trigger on the table forbids OUTPUT, which SQLAlchemy would use to fetch a new id.
    table = sa.Table(place.name, metadata, *columns, schema=place.schema, implicit_returning=False)
    for name in _INDEXES.get(key, ()):
        sa.Index(f"IX_{place.name}_{table.c[name].name}", table.c[name])
    elsewhere = {name: _read_from(table, place) for name, place in outside.items()}
    return HostTable(key, table, elsewhere, access)


def _column(name: str, real: str, spec: _Spec) -> sa.Column[Any]:
    is_id = name.lower() == "id"
    return sa.Column(real, spec.type, key=name, primary_key=is_id, nullable=spec.null and not is_id)


def _read_from(table: sa.Table, place: ColumnPlace) -> sa.ScalarSelect[Any]:
    """The value of another table's column for the same id."""
    where = place.table or QualifiedName(table.name, table.schema)
    row_id = table.c.Id
    other = sa.table(
        where.name,
        sa.column(row_id.name, row_id.type),
        sa.column(place.name, TEXT),
        schema=where.schema,
    )
    same = other.c[row_id.name] == row_id
    return sa.select(other.c[place.name]).where(same).correlate(table).scalar_subquery()
