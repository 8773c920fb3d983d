"""The script that gives a login what pondctl needs, and no more."""

from __future__ import annotations

from pondctl.db.catalogue import full_name, quote
from pondctl.db.check import RIGHTS, own_rights
from pondctl.db.database import Database
from pondctl.errors import UsageError


def grants(database: Database, login: str) -> str:
    """T-SQL for a DBA to run; no DDL right is among it. Nothing is connected to."""
    if database.host_address.is_sqlite:
        raise UsageError("SQLite has no logins: the rights are those of the file")
    host = [*database.host_tables.required(), *filter(None, [database.host_tables.device])]
    lines = [_grant(RIGHTS[table.key], table.table.name, table.table.schema, login) for table in host]
    for table, rights in own_rights(database.own_tables):
        lines.append(_grant(rights, table.name, table.schema, login))
    return "\n".join(lines) + "\n"


def _grant(rights: tuple[str, ...], name: str, schema: str | None, login: str) -> str:
    return f"GRANT {', '.join(rights)} ON {full_name(name, schema)} TO {quote(login)};"
