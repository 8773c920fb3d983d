"""Makes and upgrades tables: the host's on a new database only, pondctl's own everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from pondctl.db.catalogue import Catalogue, quote
from pondctl.db.database import Database
from pondctl.db.engine import require_file
from pondctl.db.migrate import upgrade_script, upgrade_to_head
from pondctl.db.own_tables import REVISIONS
from pondctl.db.unit import Unit
from pondctl.db.version import find_revision
from pondctl.errors import ConfigurationError, PermissionDeniedError, PondctlError, SchemaError

# The mark that the host's tables here were made by `db init`: on a second one they are not a stranger's.
_MADE_HERE: Final = "host_tables_made_here"
# Without it the batches behind a failed one are run too, and the last of them commits.
_HOW_TO_RUN: Final = "-- For `sqlcmd -b`: it stops at the first error, and keeps none of the tables."


def init_database(database: Database) -> None:
    """Make the host's tables where they are absent, then pondctl's own; twice does no harm.

    On any database but SQLite it raises `SchemaError` when there is a table that neither
    belongs to pondctl nor was made by this.
    """
    for address in (database.host_address, database.state_address):
        if address.is_read_only:
            raise ConfigurationError(
                f"the URL of {address.file} opens it to be read only: nothing can be made in it"
            )
    file = database.host_address.file
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    else:
        _refuse_strangers(database)
    # Marked before they are made: cut in between, the next `db init` goes on instead of refusing.
    upgrade(database, new=True)
    database.write(lambda unit: unit.meta.set(_MADE_HERE, "1"))
    create_host_tables(database)


def create_host_tables(database: Database) -> None:
    """Make those of the host's four tables that are absent."""
    metadata = database.host_tables.metadata
    database.apply(lambda unit: metadata.create_all(unit.host, checkfirst=True))


def upgrade(database: Database, *, new: bool = False) -> str:
    """Bring pondctl's own tables up to this program; returns the revision.

    Raises `SchemaError` where they are newer already, `PermissionDeniedError` without the DDL rights.
    """
    address = database.state_address
    if address.file is not None and (new or not database.is_one):
        address.file.parent.mkdir(parents=True, exist_ok=True)
    else:
        require_file(address)
    revision = database.look(find_revision)
    if revision is not None and revision not in REVISIONS:
        raise SchemaError(
            f"pondctl's own tables are newer (revision {revision}) than this program knows",
            hint="use the newer pondctl that made them",
        )
    if revision != REVISIONS[-1]:
        try:
            database.apply(_make_schema)
            database.apply(lambda unit: upgrade_to_head(unit.state, unit.own_tables.names))
        except PermissionDeniedError as error:
            hint = "`pondctl db upgrade --sql` prints the script for a DBA"
            raise PermissionDeniedError(error.message, hint=hint) from error
    return REVISIONS[-1]


def upgrade_sql(database: Database, *, since: str = "base") -> str:
    """The script of `upgrade` for a DBA, from revision `since` on; nothing is connected to."""
    names = database.own_tables.names
    dialect = "sqlite" if database.state_address.is_sqlite else "mssql"
    script = upgrade_script(dialect, names, since)
    if dialect == "mssql":
        script = f"{_HOW_TO_RUN}\n\n{script}"
    if names.schema is None or since != "base":
        return script
    literal = names.schema.replace("'", "''")
    create = f"CREATE SCHEMA {quote(names.schema)}".replace("'", "''")
    return f"IF SCHEMA_ID('{literal}') IS NULL EXEC('{create}');\n\nGO\n\n{script}"


def _make_schema(unit: Unit) -> None:
    schema = unit.own_tables.names.schema
    if schema is not None and not Catalogue(unit.state).has_schema(schema):
        unit.state.exec_driver_sql(f"CREATE SCHEMA {quote(schema)}")


def _refuse_strangers(database: Database) -> None:
    own = database.own_tables
    tables = database.look(lambda unit: Catalogue(unit.host).base_tables())
    ours = _places([*own.metadata.tables.values(), own.version])
    if _was_made_here(database):
        ours |= _places(database.host_tables.metadata.tables.values())
    strangers = [name for place, name in tables if not {(None, name), (place, name)} & ours]
    if strangers:
        raise SchemaError(
            f"this database has tables already ({', '.join(sorted(strangers)[:5])}): "
            "db init makes the host's tables in an empty one only",
            hint="`pondctl db check` compares the host's tables, `database.names` says how they are called "
            "here, `pondctl db upgrade` makes pondctl's own",
        )


def _places(tables: Iterable[sa.Table]) -> set[tuple[str | None, str]]:
    return {(table.schema, table.name) for table in tables}


def _was_made_here(database: Database) -> bool:
    try:
        return database.read(lambda unit: unit.meta.get(_MADE_HERE)) is not None
    except PondctlError:
        return False
