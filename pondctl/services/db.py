"""The tables: make them, bring them up to date, compare them, keep them small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pondctl.db import check as checks
from pondctl.db import schema
from pondctl.db.database import Database
from pondctl.db.grants import grants
from pondctl.db.prune import prune
from pondctl.db.records import Finding
from pondctl.errors import ExitCode

_LACKS_RIGHT = "the login lacks"


@dataclass(frozen=True, slots=True)
class Check:
    """What `db check` found."""

    findings: Sequence[Finding]

    @property
    def rows(self) -> Sequence[Mapping[str, object]]:
        """One row a finding."""
        return [
            {
                "id": str(number),
                "level": each.level,
                "subject": each.subject,
                "message": each.message,
                "remedy": each.remedy,
            }
            for number, each in enumerate(self.findings, 1)
        ]

    @property
    def exit_code(self) -> ExitCode:
        """2 where something is missing, 4 where only rights are; warnings and notes are no failure."""
        errors = [each for each in self.findings if each.level == "error"]
        if not errors:
            return ExitCode.OK
        only_rights = all(each.message.startswith(_LACKS_RIGHT) for each in errors)
        return ExitCode.REFUSED if only_rights else ExitCode.USAGE


def init_database(database: Database) -> Mapping[str, object]:
    """Make all tables in an empty database; raises SchemaError where it is somebody's already."""
    schema.init_database(database)
    return upgrade_database(database)


def upgrade_database(database: Database) -> Mapping[str, object]:
    """Bring pondctl's own tables up to this program; says where they are and which revision they have."""
    revision = schema.upgrade(database)
    return {
        "database": database.host_address.shown,
        "own_tables": database.state_address.shown,
        "revision": revision,
    }


def upgrade_script(database: Database, since: str) -> str:
    """Return the statements of an upgrade, for a DBA to run."""
    return schema.upgrade_sql(database, since=since)


def check_database(database: Database) -> Check:
    """Compare the real schema with what pondctl needs; reads only."""
    return Check(checks.check(database))


def grants_script(database: Database, login: str) -> str:
    """Return the statements that give a login what pondctl needs at run time."""
    return grants(database, login)


def prune_database(database: Database, retention_days: float) -> Mapping[str, object]:
    """Delete what ended before the retention; says how many rows of each table."""
    removed = prune(database, retention_days)
    return {
        "retention_days": retention_days,
        "removed": {table.removeprefix("pondctl_"): rows for table, rows in removed.items()},
    }
