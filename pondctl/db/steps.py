"""The journal of carrier writes: an intent before each, its outcome after it, in one row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.dialects import utcnow
from pondctl.db.guarded_insert import insert_unless, parameters
from pondctl.db.own_tables import OwnTables
from pondctl.db.step_records import (
    NewWrite,
    StepKey,
    StepKind,
    StepState,
    StoredStep,
    Subject,
    UnresolvedWrite,
    WriteEnd,
)

_CARRIER: Final = "pond"
_KEYS_A_STATEMENT: Final = 500
_NO_WRITES: Final = (str(StepKind.CLAIM), str(StepKind.TARGETS))


class Steps:
    """Reads and writes the table `step`, but for its claims."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._tables = tables
        self._step = tables.step

    def add_intents(self, writes: Sequence[NewWrite]) -> None:
        """Record what is about to be sent; the call may be made once this is committed."""
        self._insert_missing([_intent_row(write) for write in writes])

    def close(self, ends: Sequence[WriteEnd]) -> None:
        """Record what became of writes. One that is resolved already keeps what it says."""
        execute_many(self._connection, _close(self._tables), [_end_row(end) for end in ends])

    def mark_cut(self, run_id: str, iccids: Collection[str]) -> None:
        """Make unknown what earlier runs left open on devices that this run has claimed.

        Such a call may have been made as late as the end of that run's lease: then, or now where that
        is earlier, it was cut.
        """
        for chunk in chunks(iccids, _KEYS_A_STATEMENT):
            self._connection.execute(_mark_cut(self._tables), {"mine": run_id, "iccids": chunk})

    def unresolved(self, iccids: Collection[str]) -> list[UnresolvedWrite]:
        """The writes on these devices that may have taken effect, or may yet; oldest first."""
        found: list[UnresolvedWrite] = []
        for chunk in chunks(iccids, _KEYS_A_STATEMENT):
            rows = self._connection.execute(_unresolved(self._tables), {"iccids": chunk})
            for run_id, sequence, kind, iccid, intent, cut_at, now in rows:
                age = (now - cut_at).total_seconds() if cut_at else 0.0
                key = StepKey(run_id, sequence)
                found.append(UnresolvedWrite(key, StepKind(kind), iccid, json.loads(intent), age))
        return found

    def add_targets(self, run_id: str, first_sequence: int, lists: Sequence[Sequence[str]]) -> None:
        """Keep which devices a run is for, many in a row, so that it can be resumed."""
        subject = Subject("", "", 0)
        self._insert_missing(
            [
                _row(StepKey(run_id, first_sequence + place), StepKind.TARGETS, subject, StepState.DONE)
                | {"new_intent": json.dumps(iccids, separators=(",", ":"))}
                for place, iccids in enumerate(lists)
            ]
        )

    def page_targets(self, run_id: str, after: int) -> tuple[int, list[str]] | None:
        """The next list of devices that a run is for, with its sequence; `after` 0 begins."""
        t = self._step.c
        query = (
            sa.select(t.sequence, t.intent)
            .where(t.run_id == run_id, t.kind == str(StepKind.TARGETS), t.sequence > after)
            .order_by(t.sequence)
            .limit(1)
        )
        found = self._connection.execute(query).first()
        return None if found is None else (found[0], json.loads(found[1]))

    def page(self, run_id: str, after: int, limit: int) -> list[StoredStep]:
        """The next steps of a run by sequence; `after` 0 begins."""
        t = self._step.c
        where = (t.run_id == run_id, t.kind != str(StepKind.TARGETS), t.sequence > after)
        return list(self._read(self._select().where(*where).order_by(t.sequence).limit(limit)))

    def of_device(self, iccid: str, limit: int) -> list[StoredStep]:
        """The latest steps about a device, newest first."""
        t = self._step.c
        return list(self._read(self._select().where(t.iccid == iccid).order_by(t.id.desc()).limit(limit)))

    def providers_of(self, run_ids: Collection[str]) -> dict[str, set[int]]:
        """The service providers whose devices these runs have worked on, where they are known."""
        t = self._step.c
        found: dict[str, set[int]] = {}
        for chunk in chunks(run_ids, _KEYS_A_STATEMENT):
            query = sa.select(t.run_id, t.service_provider_id).distinct()
            query = query.where(t.run_id.in_(chunk), t.service_provider_id != 0)
            for run_id, provider in self._connection.execute(query):
                found.setdefault(run_id, set()).add(provider)
        return found

    def count_unresolved(self) -> int:
        """How many writes may have taken effect, or may yet."""
        t = self._step.c
        where = (_is_unresolved(t.state), t.kind.not_in(_NO_WRITES))
        query = sa.select(sa.func.count()).select_from(self._step).where(*where)
        return self._connection.execute(query).scalar_one()

    def _insert_missing(self, rows: Sequence[dict[str, Any]]) -> None:
        """A unit that is redone after its commit was not heard of finds its rows there."""
        if rows:
            execute_many(self._connection, _insert(self._tables), rows)

    def _select(self) -> sa.Select[Any]:
        t = self._step.c
        about = (t.kind, t.operation, t.iccid, t.state, t.category, t.detail, t.opened_at, t.closed_at)
        return sa.select(t.id, t.run_id, t.sequence, t.intent, t.answer, *about)

    def _read(self, query: sa.Select[Any]) -> Iterator[StoredStep]:
        for row in self._connection.execute(query):
            row_id, run_id, sequence, intent, answer, *rest = row
            said = None if answer is None else json.loads(answer)
            yield StoredStep(row_id, StepKey(run_id, sequence), json.loads(intent), said, *rest)


def _is_unresolved(state: sa.Column[Any]) -> sa.ColumnElement[bool]:
    # No IN: its parameters cannot be used in one statement for many rows.
    return sa.or_(state == str(StepState.OPEN), state == str(StepState.UNKNOWN))


_ROW: Final = (
    "claim",
    "run_id",
    "sequence",
    "carrier",
    "operation",
    "kind",
    "iccid",
    "service_provider_id",
    "device_change_id",
    "bulk_change_id",
    "intent",
    "state",
)


# Statements that every turn of a run needs are built once for each database.
@lru_cache(maxsize=8)
def _insert(tables: OwnTables) -> sa.Insert:
    other = tables.step.alias()
    state = sa.bindparam("new_state", type_=other.c.state.type)
    closed = sa.case((state == str(StepState.DONE), utcnow()), else_=sa.null())
    times = {"opened_at": utcnow(), "sent_at": utcnow(), "closed_at": closed}
    there = sa.exists().where(other.c.claim == sa.bindparam("new_claim", type_=other.c.claim.type))
    return insert_unless(tables.step, _ROW, times, there)


@lru_cache(maxsize=8)
def _mark_cut(tables: OwnTables) -> sa.Update:
    t, r = tables.step.c, tables.run.c
    lease = sa.select(r.lease_until).where(r.run_id == t.run_id, r.lease_until < utcnow())
    left = (t.state == str(StepState.OPEN), t.kind.not_in(_NO_WRITES), t.run_id != sa.bindparam("mine"))
    return (
        sa.update(tables.step)
        .where(t.iccid.in_(sa.bindparam("iccids", expanding=True)), *left)
        .values(state=str(StepState.UNKNOWN), cut_at=sa.func.coalesce(lease.scalar_subquery(), utcnow()))
    )


@lru_cache(maxsize=8)
def _unresolved(tables: OwnTables) -> sa.Select[Any]:
    t = tables.step.c
    return (
        sa.select(t.run_id, t.sequence, t.kind, t.iccid, t.intent, t.cut_at, utcnow())
        .where(t.iccid.in_(sa.bindparam("iccids", expanding=True)))
        .where(_is_unresolved(t.state), t.kind.not_in(_NO_WRITES))
        .order_by(t.id)
    )


@lru_cache(maxsize=8)
def _close(tables: OwnTables) -> sa.Update:
    t = tables.step.c
    state = sa.bindparam("new_state", type_=t.state.type)
    is_unknown = state == str(StepState.UNKNOWN)
    return (
        sa.update(tables.step)
        .where(t.claim == sa.bindparam("named"), _is_unresolved(t.state))
        .values(
            state=state,
            answer=sa.bindparam("said"),
            detail=sa.bindparam("words"),
            category=sa.bindparam("reason"),
            cut_at=sa.case((is_unknown, sa.func.coalesce(t.cut_at, utcnow())), else_=t.cut_at),
            closed_at=sa.case((is_unknown, sa.null()), else_=utcnow()),
        )
    )


def _intent_row(write: NewWrite) -> dict[str, Any]:
    row = _row(write.key, write.kind, write.subject, StepState.OPEN)
    return row | {"new_intent": json.dumps(write.intent)}


def _row(key: StepKey, kind: StepKind, subject: Subject, state: StepState) -> dict[str, Any]:
    values = {
        "claim": str(key),
        "run_id": key.run_id,
        "sequence": key.sequence,
        "carrier": _CARRIER,
        "operation": subject.operation,
        "kind": str(kind),
        "iccid": subject.iccid,
        "service_provider_id": subject.service_provider_id,
        "device_change_id": subject.device_change_id,
        "bulk_change_id": subject.bulk_change_id,
        "state": str(state),
    }
    return parameters(values)


def _end_row(end: WriteEnd) -> dict[str, Any]:
    return {
        "named": str(end.key),
        "new_state": str(end.state),
        "said": None if end.answer is None else json.dumps(end.answer),
        "words": end.detail,
        "reason": end.category,
    }
