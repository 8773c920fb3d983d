"""Runs, and the only lease there is: the unique column `claim`, in database time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.own_tables import OwnTables
from pondctl.db.records import NewRun, RunRecord
from pondctl.errors import BusyError, NotFoundError

LEASE_SECONDS: Final = 45.0
RUNNING: Final = "running"
ABANDONED: Final = "abandoned"


class Runs:
    """Reads and writes the table `run`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.run

    def claim(
        self, new: NewRun, is_alive: Callable[[int, float], bool], unit_key: str | None = None
    ) -> str | None:
        """Start a run, and hold its target until it is finished or its heartbeat stops.

        Returns the id of a dead run that held the target. Raises `BusyError` naming a live holder:
        `is_alive(pid, started)` is asked about one of the same host, whose lease is free at once when
        its process is gone.
        """
        dead = None if new.target is None else self._free(new.target, new.host_key, is_alive)
        values = {
            "run_id": new.run_id,
            "claim": new.target or new.run_id,
            "command": new.command,
            "target": new.target,
            "state": RUNNING,
            "actor": new.actor,
            "host": new.host,
            "host_key": new.host_key,
            "pid": new.pid,
            "process_started": new.process_started,
            "profile": new.profile,
            "reason": new.reason,
            "arguments": json.dumps(dict(new.arguments), default=str),
            "cancel_requested": False,
            "started_at": utcnow(),
            **_alive(unit_key),
        }
        # Lost to another claim in this very moment: the conflict redoes the unit, which then sees it.
        self._connection.execute(sa.insert(self._table).inline().values(values))
        return dead

    def heartbeat(self, run_id: str, unit_key: str | None = None) -> bool:
        """Renew the lease. False: another run has taken over, or this one was asked to stop."""
        t = self._table.c
        update = sa.update(self._table).where(t.run_id == run_id, t.state == RUNNING)
        update = update.values(_alive(unit_key))
        if self._connection.execute(update).rowcount == 0:
            return False
        asked = sa.select(t.cancel_requested).where(t.run_id == run_id)
        return not self._connection.execute(asked).scalar_one()

    def mark(self, run_id: str, unit_key: str) -> None:
        """Write with what is about to be written which unit it is."""
        update = sa.update(self._table).where(self._table.c.run_id == run_id)
        self._connection.execute(update.values(last_unit=unit_key))

    def has_kept(self, unit_key: str) -> bool:
        """Whether that unit was committed. Who is still about to do it is waited for: this is a write."""
        t = self._table.c
        update = sa.update(self._table).where(t.last_unit == unit_key).values(last_unit=t.last_unit)
        return self._connection.execute(update).rowcount == 1

    def finish(
        self, run_id: str, state: str, counts: Mapping[Any, int], error: str | None, code: str | None = None
    ) -> bool:
        """Record how the run ended and free its target; False where it had ended already."""
        texts = {str(word): count for word, count in counts.items()}
        return self._end(run_id, sa.true(), state, counts=json.dumps(texts), error=error, error_code=code)

    def request_cancel(self, run_id: str, reason: str | None = None) -> bool:
        """Ask a run to stop at its next heartbeat; False where it has ended."""
        t = self._table.c
        update = (
            sa.update(self._table)
            .where(t.run_id == run_id, t.state == RUNNING)
            .values(cancel_requested=True, cancel_reason=reason)
        )
        return self._connection.execute(update).rowcount == 1

    def get(self, run_id: str) -> RunRecord:
        """Raises `NotFoundError` where there is none."""
        found = self._read(self._select().where(self._table.c.run_id == run_id))
        if not found:
            raise NotFoundError(f"run {run_id} does not exist", hint="`pondctl runs list`")
        return found[0]

    def open_for(self, target: str) -> RunRecord | None:
        """The run that holds a target, also when its lease is over."""
        found = self._read(self._select().where(self._table.c.claim == target))
        return found[0] if found else None

    def holders(self, targets: Collection[str]) -> dict[str, RunRecord]:
        """The runs that hold these targets, by target."""
        found = self._read(self._select().where(self._table.c.claim.in_(targets)))
        return {run.target: run for run in found if run.target is not None}

    def list_recent(
        self,
        limit: int | None = None,
        *,
        state: str | None = None,
        command: str | None = None,
        target: str | None = None,
        stale_only: bool = False,
    ) -> list[RunRecord]:
        """Newest first. `stale_only`: those that say `running` although their lease is over."""
        t = self._table.c
        query = self._select().order_by(t.id.desc())
        given = {t.state: RUNNING if stale_only else state, t.command: command, t.target: target}
        query = query.where(*(column == value for column, value in given.items() if value is not None))
        if stale_only:
            query = query.where(t.lease_until < utcnow())
        return self._read(query.limit(limit) if limit is not None else query)

    def _free(self, target: str, host_key: str, is_alive: Callable[[int, float], bool]) -> str | None:
        holder = self.open_for(target)
        if holder is None:
            return None
        gone = holder.host_key == host_key and not is_alive(holder.pid, holder.process_started)
        if holder.stale or gone:
            # Not when it has given a sign of life since it was read.
            silent = self._table.c.heartbeat_at == holder.heartbeat_at
            if self._end(holder.run_id, silent, ABANDONED, error="its process or its heartbeat ended"):
                return holder.run_id
        raise BusyError(
            f"{target} is held by run {holder.run_id} ({holder.command}, {holder.actor} "
            f"on {holder.host}, since {holder.started_at:%Y-%m-%d %H:%M:%S} UTC)",
            hint=f"wait, or `pondctl runs cancel {holder.run_id}`",
        )

    def _end(self, run_id: str, where: sa.ColumnElement[bool], state: str, **values: str | None) -> bool:
        t = self._table.c
        update = (
            sa.update(self._table)
            .where(t.run_id == run_id, t.state == RUNNING, where)
            .values(claim=t.run_id, state=state, finished_at=utcnow(), **values)
        )
        return self._connection.execute(update).rowcount == 1

    def _select(self) -> sa.Select[Any]:
        t = self._table.c
        stale = sa.case((sa.and_(t.state == RUNNING, t.lease_until < utcnow()), 1), else_=0)
        names = (field.name for field in fields(RunRecord) if field.name != "stale")
        return sa.select(*(t[name] for name in names), stale.label("stale"))

    def _read(self, query: sa.Select[Any]) -> list[RunRecord]:
        return [_record(row._asdict()) for row in self._connection.execute(query)]


def _alive(unit_key: str | None) -> dict[str, Any]:
    lease = {"heartbeat_at": utcnow(), "lease_until": utc_in(LEASE_SECONDS)}
    return lease if unit_key is None else lease | {"last_unit": unit_key}


def _record(row: dict[str, Any]) -> RunRecord:
    texts = {"arguments": json.loads(row["arguments"]), "counts": json.loads(row["counts"] or "{}")}
    return RunRecord(**{**row, **texts, "stale": bool(row["stale"])})
