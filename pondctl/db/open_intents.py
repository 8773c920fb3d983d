"""Carrier writes whose answer is not known, over all devices, and which devices somebody works on now."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import utcnow
from pondctl.db.own_tables import OwnTables
from pondctl.db.runs import RUNNING
from pondctl.db.step_records import CLAIM_OPEN, StepKey, StepKind, StepState, UnresolvedWrite

_UNRESOLVED: Final = (str(StepState.OPEN), str(StepState.UNKNOWN))
_NO_WRITES: Final = (str(StepKind.CLAIM), str(StepKind.TARGETS))
_KEYS_A_STATEMENT: Final = 500


@dataclass(frozen=True, slots=True)
class Holder:
    """The process behind a run: whether it may still be at work is for its host to say."""

    run_id: str
    leased: bool
    host_key: str
    pid: int
    process_started: float


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """A write that may have taken effect, or may yet; with the row that asked for it, and its run."""

    id: int
    write: UnresolvedWrite
    state: str
    service_provider_id: int
    bulk_change_id: int | None
    opened_at: datetime
    holder: Holder


class OpenIntents:
    """Reads the table `step` together with `run`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._step = tables.step
        self._run = tables.run

    def page(self, after_id: int, limit: int) -> list[OpenIntent]:
        """The next unresolved writes by id."""
        t, r = self._step.c, self._run.c
        what = (t.id, t.run_id, t.sequence, t.kind, t.iccid, t.intent, t.cut_at)
        about = (t.state, t.service_provider_id, t.bulk_change_id, t.opened_at)
        query = (
            sa.select(*what, *about, self._leased(), r.host_key, r.pid, r.process_started, utcnow())
            .join_from(self._step, self._run, t.run_id == r.run_id)
            .where(t.state.in_(_UNRESOLVED), t.kind.not_in(_NO_WRITES), t.id > after_id)
            .order_by(t.id)
            .limit(limit)
        )
        return [_intent(tuple(row)) for row in self._connection.execute(query)]

    def in_work(self, claims: Collection[str], iccids: Collection[str], since: datetime) -> set[str]:
        """The devices that a live run holds by one of these claims, or that a run has touched since."""
        t, r = self._step.c, self._run.c
        found: set[str] = set()
        for chunk in chunks(claims, _KEYS_A_STATEMENT):
            live = (r.state == RUNNING, r.lease_until > utcnow())
            held = (
                sa.select(t.iccid)
                .join_from(self._step, self._run, t.run_id == r.run_id)
                .where(t.claim.in_(chunk), t.state == CLAIM_OPEN, *live)
            )
            found.update(self._connection.execute(held).scalars())
        for chunk in chunks(iccids, _KEYS_A_STATEMENT):
            touched = sa.or_(t.opened_at >= since, t.closed_at >= since)
            query = sa.select(t.iccid).where(t.iccid.in_(chunk), touched).distinct()
            found.update(self._connection.execute(query).scalars())
        return found

    def leased_bulk_changes(self) -> set[int]:
        """The bulk changes that live runs hold."""
        r = self._run.c
        prefix = "bulk_change:"
        query = sa.select(r.claim).where(r.claim.startswith(prefix), r.lease_until > utcnow())
        return {int(claim.removeprefix(prefix)) for claim in self._connection.execute(query).scalars()}

    def _leased(self) -> sa.ColumnElement[int]:
        r = self._run.c
        return sa.case((sa.and_(r.state == RUNNING, r.lease_until > utcnow()), 1), else_=0)


def _intent(row: tuple[Any, ...]) -> OpenIntent:
    row_id, run_id, sequence, kind, iccid, intent, cut_at, *about = row
    state, provider, bulk_change_id, opened_at, leased, host_key, pid, started, now = about
    age = (now - cut_at).total_seconds() if cut_at else 0.0
    write = UnresolvedWrite(StepKey(run_id, sequence), StepKind(kind), iccid, json.loads(intent), age)
    holder = Holder(run_id, bool(leased), host_key, pid, started)
    return OpenIntent(row_id, write, state, provider, bulk_change_id, opened_at, holder)
