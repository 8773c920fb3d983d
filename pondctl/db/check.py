"""`db check`: compares what is there with what pondctl needs. Reads only."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa

from pondctl.db.catalogue import Catalogue, full_name, quote
from pondctl.db.database import Database
from pondctl.db.engine import require_file
from pondctl.db.host_tables import HostTable
from pondctl.db.own_tables import REVISIONS, VERSION_TABLE, OwnTables
from pondctl.db.records import Finding
from pondctl.db.version import find_revision
from pondctl.errors import DatabaseUnavailableError, PondctlError

T = TypeVar("T")
_Rights = Mapping[str, bool | None]
Ask = Callable[[Callable[[Catalogue], _Rights]], _Rights | None]

RIGHTS: Final = {
    "BulkChange": ("SELECT", "UPDATE"),
    "M2M_DeviceChange": ("SELECT", "UPDATE"),
    "PondDeviceCarrierRatePlan": ("SELECT", "INSERT", "UPDATE"),
    "DeviceBulkChangeLog": ("SELECT", "INSERT"),
    "Device": ("SELECT", "UPDATE"),
}
# Nobody needs to change what the audit trail says.
_OWN_RIGHTS: Final = {"audit": ("SELECT", "INSERT"), VERSION_TABLE: ("SELECT",)}
_NEEDS_INDEX: Final = {
    "M2M_DeviceChange": ("BulkChangeId",),
    "PondDeviceCarrierRatePlan": ("ICCID",),
    "DeviceBulkChangeLog": ("BulkChangeId",),
}


def own_rights(own: OwnTables) -> Iterator[tuple[sa.Table, tuple[str, ...]]]:
    """What a login needs on each of pondctl's own tables."""
    for table in (*own.metadata.tables.values(), own.version):
        yield table, _OWN_RIGHTS.get(table.name, ("SELECT", "INSERT", "UPDATE", "DELETE"))


def check(database: Database) -> list[Finding]:
    """Everything that is missing, each with the line that mends it; empty when all is well."""
    require_file(database.host_address)
    tables = [*database.host_tables.required(), *filter(None, [database.host_tables.device])]
    findings = [found for table in tables for found in _check_table(database, table)]
    return findings + _check_own(database)


def _check_table(database: Database, host: HostTable) -> list[Finding]:
    table = host.table
    columns = _columns(database, table)
    if not columns:
        return [_missing_table(host)]
    here = {column.lower() for column in columns}
    findings = [
        _missing_column(host, key, column.name)
        for key, column in table.c.items()
        if column.name.lower() not in here
    ]
    return [*findings, *_check_rights(database, host), *_check_indexes(database, host)]


def _columns(database: Database, table: sa.Table, *, own: bool = False) -> Collection[str]:
    found = _try(database, lambda catalogue: catalogue.columns(table.name, table.schema), own=own)
    return found or _try(database, lambda catalogue: catalogue.shown_columns(table), own=own) or ()


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
    if database.host_address.file is not None:
        yield from _check_file(database.host_address.file, host.key)
        return
    ask = partial(_try, database)
    yield from _lacking_rights(ask, host.table, host.key, RIGHTS[host.key])


def _check_file(file: Path, subject: str) -> Iterator[Finding]:
    if not os.access(file, os.W_OK):
        yield Finding("error", subject, f"the login lacks the right to write {file}", f"chmod u+w {file}")


def _lacking_rights(ask: Ask, table: sa.Table, subject: str, wanted: Sequence[str]) -> Iterator[Finding]:
    name, schema = table.name, table.schema
    found = ask(lambda catalogue: catalogue.rights(name, schema, wanted)) or dict.fromkeys(wanted)
    for right, has in found.items():
        if has is False:
            remedy = f"GRANT {right} ON {full_name(name, schema)} TO [LOGIN];"
            yield Finding("error", subject, f"the login lacks {right} on {table.fullname}", remedy)
    untold = ", ".join(right for right, has in found.items() if has is None)
    if untold:
        said = f"the server does not tell whether {untold} on {table.fullname} is granted"
        yield Finding("note", subject, said, "")


def _check_indexes(database: Database, host: HostTable) -> Iterator[Finding]:
    name, schema = host.table.name, host.table.schema
    leading = _try(database, lambda catalogue: catalogue.leading_columns(name, schema))
    for key in _NEEDS_INDEX.get(host.key, ()):
        column = host.table.c[key].name
        if leading is None:
            yield Finding("note", host.key, "the server does not tell which indexes there are", "")
        elif column.lower() not in map(str.lower, leading):
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
        return [*_check_own_tables(database, subject), *_check_own_rights(database, subject)]
    if revision is None:
        return [Finding("error", subject, "they are not in this database", "pondctl db upgrade")]
    if revision in REVISIONS:
        return [Finding("error", subject, f"they are of an older release ({revision})", "pondctl db upgrade")]
    return [
        Finding("error", subject, f"they are newer ({revision}) than this program", "use the newer pondctl")
    ]


def _check_own_tables(database: Database, subject: str) -> Iterator[Finding]:
    for table, _ in own_rights(database.own_tables):
        columns = _columns(database, table, own=True)
        missing = sorted({column.name for column in table.c} - set(columns))
        if missing:
            what = f"the columns {', '.join(missing)} of {table.fullname}" if columns else table.fullname
            said = f"{what} {'are' if columns else 'is'} not there, or the login may not see it"
            yield Finding("error", subject, said, "put it back from a backup")


def _check_own_rights(database: Database, subject: str) -> Iterator[Finding]:
    if database.state_address.file is not None:
        # Of one file for all tables the host's have told already.
        if not database.is_one:
            yield from _check_file(database.state_address.file, subject)
        return
    ask = partial(_try, database, own=True)
    for table, wanted in own_rights(database.own_tables):
        yield from _lacking_rights(ask, table, subject, wanted)


def _try(database: Database, ask: Callable[[Catalogue], T | None], *, own: bool = False) -> T | None:
    """Ask the catalogue; None where this server has no answer to such a question."""
    try:
        return database.look(lambda unit: ask(Catalogue(unit.state if own else unit.host)))
    except DatabaseUnavailableError:
        raise
    except PondctlError:
        return None
