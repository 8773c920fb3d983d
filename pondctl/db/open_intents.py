"""Carrier writes whose answer is not known, over all devices, and which devices somebody works on now."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import begins_with, utcnow
from pondctl.db.own_tables import OwnTables
from pondctl.db.runs import RUNNING
from pondctl.db.step_records import CLAIM_OPEN, StepKey, StepKind, StepState, UnresolvedWrite

_UNRESOLVED: Final = (str(StepState.OPEN), str(StepState.UNKNOWN))
_NO_WRITES: Final = (str(StepKind.CLAIM), str(StepKind.TARGETS))
_KEYS_A_STATEMENT: Final = 500


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """A write that may have taken effect, or may yet, and what it was for."""

    id: int
    write: UnresolvedWrite
    state: str
    service_provider_id: int
    bulk_change_id: int | None
    opened_at: datetime


class OpenIntents:
    """Reads the table `step`, and of `run` who is alive."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._step = tables.step
        self._run = tables.run

    def page(self, after_id: int, limit: int) -> list[OpenIntent]:
        """The next unresolved writes by id, whichever run made them."""
        t = self._step.c
        what = (t.id, t.run_id, t.sequence, t.kind, t.iccid, t.intent, t.cut_at)
        about = (t.state, t.service_provider_id, t.bulk_change_id, t.opened_at, utcnow())
        query = (
            sa.select(*what, *about)
            .where(t.state.in_(_UNRESOLVED), t.kind.not_in(_NO_WRITES), t.id > after_id)
            .order_by(t.id)
            .limit(limit)
        )
        return [_intent(row) for row in self._connection.execute(query)]

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
        query = sa.select(r.claim).where(begins_with(r.claim, prefix), r.lease_until > utcnow())
        return {int(claim.removeprefix(prefix)) for claim in self._connection.execute(query).scalars()}


def _intent(row: Sequence[Any]) -> OpenIntent:
    row_id, run_id, sequence, kind, iccid, intent, cut_at, *about, now = row
    age = (now - cut_at).total_seconds() if cut_at else 0.0
    write = UnresolvedWrite(StepKey(run_id, sequence), StepKind(kind), iccid, json.loads(intent), age)
    return OpenIntent(row_id, write, *about)
