"""Whether pondctl's own tables are those of this program."""

from __future__ import annotations

import sqlalchemy as sa

from pondctl.db.driver_errors import Trouble, diagnose
from pondctl.db.own_tables import REVISIONS
from pondctl.db.unit import Unit
from pondctl.errors import SchemaError

_HINT = "run `pondctl db upgrade` (a new database: `pondctl db init`)"


def find_revision(unit: Unit) -> str | None:
    """The revision of the own tables; None where there are none. After None the unit is spent."""
    table = unit.own_tables.version
    try:
        return unit.state.execute(sa.select(table.c.version_num)).scalar()
    except sa.exc.DBAPIError as error:
        if diagnose(error).trouble is Trouble.SCHEMA:
            return None
        raise


def require_version(unit: Unit) -> None:
    """Raise `SchemaError` unless the own tables are exactly as new as this program."""
    revision = find_revision(unit)
    if revision is None:
        raise SchemaError("pondctl's own tables are not in this database", hint=_HINT)
    if revision not in REVISIONS:
        raise SchemaError(
            f"pondctl's own tables are newer (revision {revision}) than this program knows",
            hint="use the newer pondctl that made them",
        )
    if revision != REVISIONS[-1]:
        raise SchemaError(f"pondctl's own tables are of an older release ({revision})", hint=_HINT)
