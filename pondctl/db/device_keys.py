"""The keys that the pseudonyms of devices are made with, one for each branch of a tree of devices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from pondctl.db.batches import execute_many
from pondctl.db.dialects import utcnow
from pondctl.db.own_tables import OwnTables


@dataclass(frozen=True, slots=True)
class KeyState:
    """Tells whether the keys have changed since they were read."""

    newest_id: int
    made_at: datetime


class DeviceKeyRows:
    """Reads and writes the table `device_key`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.device_key

    def state(self) -> KeyState | None:
        """None where there is no key yet."""
        t = self._table.c
        newest, made_at = self._connection.execute(sa.select(sa.func.max(t.id), sa.func.max(t.made_at))).one()
        return None if newest is None else KeyState(newest, made_at)

    def all(self) -> dict[str, bytes]:
        """The key of each branch."""
        t = self._table.c
        found = self._connection.execute(sa.select(t.branch, t.secret))
        return {branch: _key(secret) for branch, secret in found}

    def add(self, keys: Mapping[str, bytes]) -> None:
        """Keep keys of branches that have none."""
        rows = [{"branch": branch, "secret": key.hex()} for branch, key in keys.items()]
        execute_many(self._connection, sa.insert(self._table).inline().values(made_at=utcnow()), rows)

    def remove(self, branch: str) -> None:
        """Drop the key of a branch."""
        self._connection.execute(sa.delete(self._table).where(self._table.c.branch == branch))


def _key(secret: str) -> bytes:
    """A key that somebody has spoilt names nobody any more, and stops nobody either."""
    try:
        return bytes.fromhex(secret)
    except ValueError:
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
