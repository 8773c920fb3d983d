"""Alembic runs this for each migration command; `pondctl.db.migrate` hands everything in."""

from __future__ import annotations

from typing import Any

from alembic import context

from pondctl.db.columns import OwnNames
from pondctl.db.own_tables import VERSION_TABLE

_attributes = context.config.attributes
_names: OwnNames = _attributes["own_names"]
_options: dict[str, Any] = {
    "version_table": VERSION_TABLE,
    "version_table_schema": _names.schema,
    "own_names": _names,
}
if context.is_offline_mode():
    context.configure(dialect_name=_attributes["dialect"], literal_binds=True, **_options)
else:
    context.configure(connection=_attributes["connection"], **_options)
with context.begin_transaction():
    context.run_migrations()
