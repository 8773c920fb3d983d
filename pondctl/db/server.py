"""What is known of a database connection itself: server, driver, encryption, clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC
from typing import Final

import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.dialects import text, utcnow
from pondctl.db.unit import Unit
from pondctl.db.urls import Address
from pondctl.errors import DatabaseUnavailableError, PondctlError

_ASKS_FOR_IT: Final = ("yes", "true", "mandatory", "strict", "require", "1")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`encrypted` is None where neither server nor URL tells; `ahead_seconds` is None for a local file.

    `nearby`: nothing leaves this machine on the way there.
    """

    server: str
    driver: str
    encrypted: bool | None
    told_by_server: bool
    ahead_seconds: float | None
    nearby: bool = False


def describe_server(database: Database) -> ServerFacts:
    """Connect and ask. Raises what a command would end with."""
    address = database.host_address
    if address.is_sqlite:
        version = database.look(lambda unit: unit.host.execute(sa.select(sa.func.sqlite_version())).scalar())
        return ServerFacts(f"SQLite {version}", "sqlite3", None, False, None)
    asked = time.time()
    now = database.look(lambda unit: unit.host.execute(sa.select(utcnow())).scalar_one())
    ahead = now.replace(tzinfo=UTC).timestamp() - (asked + time.time()) / 2
    version = database.look(lambda unit: _property(unit, "ProductVersion"))
    edition = database.look(lambda unit: _property(unit, "Edition"))
    told = _encrypted(database)
    driver = str(address.url.query.get("driver", address.url.get_driver_name()))
    return ServerFacts(
        f"SQL Server {version} {edition}".strip(),
        driver,
        _asked_for(address) if told is None else told,
        told is not None,
        ahead,
        address.is_nearby,
    )


def _property(unit: Unit, name: str) -> str:
    asked = sa.select(sa.cast(sa.func.serverproperty(text(name)), sa.Unicode(200)))
    return unit.host.execute(asked).scalar() or ""


def _encrypted(database: Database) -> bool | None:
    """As the server sees this connection; None where it does not tell a login like this one."""
    view = sa.table(
        "dm_exec_connections",
        sa.column("session_id", sa.Integer()),
        sa.column("encrypt_option", sa.Unicode()),
        schema="sys",
    )
    query = sa.select(view.c.encrypt_option).where(view.c.session_id == sa.text("@@SPID"))
    try:
        found = database.look(lambda unit: unit.host.execute(query).scalar())
    except DatabaseUnavailableError:
        raise
    except PondctlError:
        return None
    return None if found is None else str(found).upper() == "TRUE"


def _asked_for(address: Address) -> bool | None:
    """As the URL asks; a data source or a connection string hides it."""
    given = {key.lower(): str(value).lower() for key, value in address.url.query.items()}
    word = given.get("encrypt", given.get("encryption"))
    return None if word is None else word in _ASKS_FOR_IT
