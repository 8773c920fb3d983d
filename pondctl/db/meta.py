"""Small facts that outlive a run: a name, a text, and when it was written."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import begins_with, utc_in, utcnow
from pondctl.db.own_tables import OwnTables


class Meta:
    """Reads and writes the table `meta`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.meta

    def get(self, name: str) -> str | None:
        """The text kept under `name`."""
        t = self._table.c
        found: str | None = self._connection.execute(sa.select(t.value).where(t.name == name)).scalar()
        return found

    def texts(self, names: Iterable[str]) -> list[str]:
        """The texts that are kept under these names."""
        t = self._table.c
        query = sa.select(t.value)
        return [
            v
            for chunk in chunks(names)
            for v in self._connection.execute(query.where(t.name.in_(chunk))).scalars()
        ]

    def set(self, name: str, value: str) -> None:
        """Keep a text under `name`, in place of what was there."""
        values = {"value": value, "changed_at": utcnow()}
        update = sa.update(self._table).where(self._table.c.name == name).values(values)
        if self._connection.execute(update).rowcount == 0:
            self._connection.execute(sa.insert(self._table).inline().values(name=name, **values))

    def forget(self, prefix: str, older_seconds: float) -> None:
        """Drop what is kept under names that begin so, and was not written for that long."""
        t = self._table.c
        old = sa.and_(begins_with(t.name, prefix), t.changed_at < utc_in(-older_seconds))
        self._connection.execute(sa.delete(self._table).where(old))

    def remove(self, name: str) -> None:
        """Drop what is kept under `name`."""
        self._connection.execute(sa.delete(self._table).where(self._table.c.name == name))

    def entries(self, prefix: str) -> list[tuple[str, str, float]]:
        """What is kept under names that begin so: name, text, and seconds since it was written."""
        t = self._table.c
        query = sa.select(t.name, t.value, t.changed_at, utcnow())
        found = self._connection.execute(query.where(begins_with(t.name, prefix)))
        return [(name, value, (now - at).total_seconds()) for name, value, at, now in found]

    def account_size(self, account: str) -> int | None:
        """How many devices the last complete scan of a ThingSpace account showed."""
        value = self.get(f"account_size:{account}")
        return None if value is None else int(value)

    def set_account_size(self, account: str, devices: int) -> None:
        """Keep the size that a complete scan has shown."""
        self.set(f"account_size:{account}", str(devices))
