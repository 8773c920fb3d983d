"""The rows of the audit trail: added and read, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import execute_many, insert_into
from pondctl.db.dialects import spelled_moment
from pondctl.db.driver_errors import Trouble, diagnose
from pondctl.db.own_tables import OwnTables
from pondctl.errors import DatabaseUnavailableError
from pondctl.telemetry.audit import MAIN, AuditEntry, Link

_HANDFUL: Final = 200


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows; what is given narrows."""

    run_id: str | None = None
    actor: str | None = None
    command: str | None = None
    since: datetime | None = None


class AuditRows:
    """Reads and adds to the table `audit`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.audit

    def lock_end(self) -> Link | None:
        """The end of the main chain; who asks is the next to add to it."""
        # SQLite has locked everything already. Without the lock a unique index still keeps two rows
        # from one place.
        return self._end(MAIN, "WITH (UPDLOCK, HOLDLOCK)")

    def end_of(self, chain: str) -> Link | None:
        """Where a chain ends; None where it has no row."""
        return self._end(chain, "")

    def add(self, entries: Sequence[AuditEntry]) -> None:
        """Add rows to the end of their chain; raises where that is refused, whatever the cause."""
        rows: list[dict[str, Any]] = [dict(zip(AuditEntry._fields, entry, strict=True)) for entry in entries]
        for row in rows:
            row["recorded_at"] = datetime.fromisoformat(row["recorded_at"])
        try:
            execute_many(self._connection, insert_into(self._table), rows)
        except sa.exc.DBAPIError as error:
            found = diagnose(error)
            if found.trouble is not Trouble.OTHER:
                raise
            raise DatabaseUnavailableError(
                f"the audit trail cannot be written, so nothing more is done: {found.words}",
                hint="once it can be, run the same command again",
            ) from error

    def ids(self) -> tuple[int, int]:
        """The lowest and the highest; 1 and 0 where there is no row."""
        id_ = self._table.c.id
        lowest, highest = self._connection.execute(sa.select(sa.func.min(id_), sa.func.max(id_))).one()
        return (1, 0) if lowest is None else (lowest, highest)

    def handfuls(self, after_id: int, last_id: int, limit: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The next rows in the order in which they were written: what makes an `AuditEntry`, then the id.

        A few at a time: of a million, what is kept longer costs more.
        """
        t = self._table.c
        ordered = sa.select(*self._columns(), t.id).where(t.id <= last_id).order_by(t.id)
        try:
            for rows in self._connection.execute(ordered.where(t.id > after_id).limit(limit)).partitions(
                _HANDFUL
            ):
                after_id, limit = rows[-1][-1], limit - len(rows)
                yield rows
        except sa.exc.OperationalError as error:
            with self._any_text(error):
                rest = self._connection.execute(ordered.where(t.id > after_id).limit(limit))
                yield from rest.partitions(_HANDFUL)

    def newest(self, wanted: AuditFilter, before_id: int | None, limit: int) -> list[tuple[int, AuditEntry]]:
        """The newest rows first; `before_id` goes on where a page ended."""
        t = self._table.c
        query = sa.select(t.id, *self._columns()).where(*self._narrowed(wanted)).order_by(t.id.desc())
        if before_id is not None:
            query = query.where(t.id < before_id)
        try:
            found = self._connection.execute(query.limit(limit)).all()
        except sa.exc.OperationalError as error:
            with self._any_text(error):
                found = self._connection.execute(query.limit(limit)).all()
        return [(row[0], AuditEntry._make(row[1:])) for row in found]

    def count(self, wanted: AuditFilter) -> int:
        """How many `newest` would give."""
        query = sa.select(sa.func.count()).select_from(self._table).where(*self._narrowed(wanted))
        return self._connection.execute(query).scalar_one()

    def count_by_run(self, wanted: AuditFilter) -> dict[str | None, int]:
        """The same for each run; None: what belongs to no run."""
        run_id = self._table.c.run_id
        query = sa.select(run_id, sa.func.count()).where(*self._narrowed(wanted)).group_by(run_id)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    @contextmanager
    def _any_text(self, error: sa.exc.OperationalError) -> Iterator[None]:
        """Read what is no text as well: whoever put it there is to be found out, not to stop who looks."""
        if diagnose(error).trouble is not Trouble.NO_TEXT:
            raise error
        driver: Any = self._connection.connection.dbapi_connection
        usual, driver.text_factory = driver.text_factory, lambda raw: raw.decode(errors="replace")
        try:
            yield
        finally:
            driver.text_factory = usual

    def _end(self, chain: str, hint: str) -> Link | None:
        t = self._table.c
        query = sa.select(t.sequence, t.mac).where(t.chain == chain).order_by(t.sequence.desc()).limit(1)
        if hint:
            query = query.with_hint(self._table, hint, "mssql")
        found = self._connection.execute(query).first()
        return None if found is None else Link(found[0], found[1])

    def _narrowed(self, wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
        t = self._table.c
        given = {t.run_id: wanted.run_id, t.actor: wanted.actor, t.command: wanted.command}
        where = [column == value for column, value in given.items() if value is not None]
        return [*where, t.recorded_at >= wanted.since] if wanted.since is not None else where

    def _columns(self) -> Iterator[sa.ColumnElement[Any]]:
        for name in AuditEntry._fields:
            column = self._table.c[name]
            yield spelled_moment(column).label(name) if name == "recorded_at" else column
