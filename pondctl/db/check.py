"""`db check`: compares what is there with what pondctl needs. Reads only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from pondctl.db.catalogue import Catalogue, full_name, quote
from pondctl.db.database import Database
from pondctl.db.engine import require_file
from pondctl.db.host_tables import HostTable
from pondctl.db.own_tables import REVISIONS
from pondctl.db.records import Finding
from pondctl.db.version import find_revision
from pondctl.errors import DatabaseUnavailableError, PondctlError

T = TypeVar("T")

RIGHTS: Final = {
    "BulkChange": ("SELECT", "UPDATE"),
    "M2M_DeviceChange": ("SELECT", "UPDATE"),
    "PondDeviceCarrierRatePlan": ("SELECT", "INSERT", "UPDATE"),
    "DeviceBulkChangeLog": ("SELECT", "INSERT"),
    "Device": ("SELECT", "UPDATE"),
}
_NEEDS_INDEX: Final = {
    "M2M_DeviceChange": ("BulkChangeId",),
    "PondDeviceCarrierRatePlan": ("ICCID",),
    "DeviceBulkChangeLog": ("BulkChangeId",),
}


def check(database: Database) -> list[Finding]:
    """Everything that is missing, each with the line that mends it; empty when all is well."""
    require_file(database.host_address)
    tables = [*database.host_tables.required(), *filter(None, [database.host_tables.device])]
    findings = [found for table in tables for found in _check_table(database, table)]
    return findings + _check_own(database)


def _check_table(database: Database, host: HostTable) -> list[Finding]:
    table = host.table
    columns = database.look(lambda unit: Catalogue(unit.host).columns(table.name, table.schema))
    if not columns:
        return [_missing_table(host)]
    here = {column.lower() for column in columns}
    findings = [
        _missing_column(host, key, column.name)
        for key, column in table.c.items()
        if column.name.lower() not in here
    ]
    return [*findings, *_check_rights(database, host), *_check_indexes(database, host)]


def _missing_table(host: HostTable) -> Finding:
    name = host.table.fullname
    return Finding(
        "error",
        host.key,
        f"there is no table or view {name}, or the login may not see it",
        f'[profiles.NAME.database.names]  {host.key} = "schema.RealName"',
    )


def _missing_column(host: HostTable, key: str, name: str) -> Finding:
    return Finding(
        "error",
        f"{host.key}.{key}",
        f"{host.table.fullname} has no column {name}",
        f'[profiles.NAME.database.names]  "{host.key}.{key}" = "RealName"  ("" where there is none)',
    )


def _check_rights(database: Database, host: HostTable) -> Iterator[Finding]:
    file = database.host_address.file
    if file is not None:
        if not os.access(file, os.W_OK):
            yield Finding(
                "error", host.key, f"the login lacks the right to write {file}", f"chmod u+w {file}"
            )
        return
    name, schema = host.table.name, host.table.schema
    for right in RIGHTS[host.key]:
        has = _try(database, lambda catalogue, right=right: catalogue.has_right(name, schema, right))  # type: ignore[misc]
        if has is False:
            remedy = f"GRANT {right} ON {full_name(name, schema)} TO [LOGIN];"
            yield Finding("error", host.key, f"the login lacks {right} on {host.table.fullname}", remedy)
        elif has is None:
            yield Finding("note", host.key, f"the server does not tell whether {right} is granted", "")


def _check_indexes(database: Database, host: HostTable) -> Iterator[Finding]:
    name, schema = host.table.name, host.table.schema
    leading = _try(database, lambda catalogue: catalogue.leading_columns(name, schema))
    for key in _NEEDS_INDEX.get(host.key, ()):
        column = host.table.c[key].name
        if leading is None:
            yield Finding("note", host.key, "the server does not tell which indexes there are", "")
        elif column not in leading:
            remedy = (
                f"CREATE INDEX {quote(f'IX_{name}_{column}')} ON {full_name(name, schema)} ({quote(column)});"
            )
            message = (
                f"no index of {host.table.fullname} begins with {column}: every page reads the whole table"
            )
            yield Finding("warning", f"{host.key}.{key}", message, remedy)


def _check_own(database: Database) -> list[Finding]:
    subject = "pondctl's own tables"
    revision = database.look(find_revision)
    if revision == REVISIONS[-1]:
        return []
    if revision is None:
        return [Finding("error", subject, "they are not in this database", "pondctl db upgrade")]
    if revision in REVISIONS:
        return [Finding("error", subject, f"they are of an older release ({revision})", "pondctl db upgrade")]
    return [
        Finding("error", subject, f"they are newer ({revision}) than this program", "use the newer pondctl")
    ]


def _try(database: Database, ask: Callable[[Catalogue], T | None]) -> T | None:
    """Ask the catalogue; None where this server has no answer to such a question."""
    try:
        return database.look(lambda unit: ask(Catalogue(unit.host)))
    except DatabaseUnavailableError:
        raise
    except PondctlError:
        return None
