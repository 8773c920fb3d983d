"""Claims on devices: one run at a time works on one. A dead run's claim is taken over."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.guarded_insert import insert_unless, parameters
from pondctl.db.own_tables import OwnTables
from pondctl.db.records import RunRecord
from pondctl.db.runs import ABANDONED, LEASE_SECONDS, RUNNING
from pondctl.db.step_records import CLAIM_ABANDONED, CLAIM_OPEN, ClaimEnd, NewClaim, StepKey, StepKind

_CARRIER: Final = "pond"
# Each of them is a parameter; a statement takes no more than 2,100.
_KEYS_A_STATEMENT: Final = 500


class Claims:
    """Reads and writes the claim rows of the table `step`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._tables = tables
        self._step = tables.step
        self._run = tables.run

    def claim(self, claims: Sequence[NewClaim]) -> set[StepKey]:
        """Claim each device that is free and not locked against it; returns the keys of those that hold.

        Lost to another run in this very moment: the conflict redoes the unit, which then sees it.
        """
        if not claims:
            return set()
        # In one order for everybody: two runs that claim the same devices do not wait for each other.
        rows = [_row(claim) for claim in sorted(claims, key=lambda claim: claim.claim)]
        execute_many(self._connection, _insert(self._tables), rows)
        holders = self.holders(claim.claim for claim in claims)
        return {claim.key for claim in claims if holders.get(claim.claim) == claim.key}

    def holders(self, claims: Iterable[str]) -> dict[str, StepKey]:
        """Which step holds each of these claims; those that are free are missing."""
        found: dict[str, StepKey] = {}
        for chunk in chunks(claims, _KEYS_A_STATEMENT):
            rows = self._connection.execute(_holders(self._tables), {"names": chunk})
            found.update((row[0], StepKey(row[1], row[2])) for row in rows)
        return found

    def renew(self, run_id: str, unit_key: str) -> bool:
        """Renew the lease of a run; False where it has ended, or was asked to. One statement of each turn."""
        given = {"mine": run_id, "unit_key": unit_key}
        return self._connection.execute(_renew(self._tables), given).rowcount == 1

    def give_back(self, ends: Sequence[ClaimEnd]) -> None:
        """Close claims of this run; one that was taken over meanwhile is left alone."""
        execute_many(self._connection, _give_back(self._tables), [_end_row(end) for end in ends])

    def take_over(self, run: RunRecord) -> bool:
        """End a run that is dead and close its claims. False where it has given a sign of life since."""
        r, t = self._run.c, self._step.c
        if run.state == RUNNING:
            silent = (r.run_id == run.run_id, r.state == RUNNING, r.heartbeat_at == run.heartbeat_at)
            ended = self._connection.execute(
                sa.update(self._run)
                .where(*silent)
                .values(
                    claim=r.run_id,
                    state=ABANDONED,
                    finished_at=utcnow(),
                    error="its process or its heartbeat ended",
                )
            )
            if ended.rowcount != 1:
                return False
        held = (t.run_id == run.run_id, t.kind == StepKind.CLAIM, t.state == CLAIM_OPEN)
        own_name = t.run_id + sa.literal(":", sa.Unicode()) + sa.cast(t.sequence, sa.Unicode(20))
        self._connection.execute(
            sa.update(self._step)
            .where(*held)
            .values(claim=own_name, state=CLAIM_ABANDONED, closed_at=utcnow())
        )
        return True

    def decided(self, run_id: str, iccids: Collection[str], states: Collection[str]) -> set[str]:
        """Which of these devices the run brought to one of these ends."""
        t = self._step.c
        ended = (t.run_id == run_id, t.kind == StepKind.CLAIM, t.state.in_(list(states)))
        found: set[str] = set()
        for chunk in chunks(iccids, _KEYS_A_STATEMENT):
            query = sa.select(t.iccid).where(t.iccid.in_(chunk), *ended)
            found.update(self._connection.execute(query).scalars())
        return found


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
    """One statement claims and checks: no lock can be set, and no other claim won, in between."""
    other, lock = tables.step.alias(), tables.device_lock.c
    locked = sa.exists().where(
        lock.iccid == sa.bindparam("locked_iccid", type_=lock.iccid.type),
        sa.bindparam("refuse_locked", type_=sa.Integer()) == 1,
    )
    taken = sa.exists().where(other.c.claim == sa.bindparam("taken", type_=other.c.claim.type))
    return insert_unless(tables.step, _ROW, {"opened_at": utcnow()}, taken, locked)


@lru_cache(maxsize=8)
def _holders(tables: OwnTables) -> sa.Select[Any]:
    t = tables.step.c
    return sa.select(t.claim, t.run_id, t.sequence).where(t.claim.in_(sa.bindparam("names", expanding=True)))


@lru_cache(maxsize=8)
def _renew(tables: OwnTables) -> sa.Update:
    r = tables.run.c
    alive = (r.run_id == sa.bindparam("mine"), r.state == RUNNING, r.cancel_requested == sa.false())
    lease: dict[str, Any] = {"heartbeat_at": utcnow(), "lease_until": utc_in(LEASE_SECONDS)}
    return sa.update(tables.run).where(*alive).values(lease | {"last_unit": sa.bindparam("unit_key")})


@lru_cache(maxsize=8)
def _give_back(tables: OwnTables) -> sa.Update:
    t = tables.step.c
    return (
        sa.update(tables.step)
        .where(t.claim == sa.bindparam("held"), t.run_id == sa.bindparam("holder"))
        .values(
            claim=sa.bindparam("own_name"),
            state=sa.bindparam("ended"),
            answer=sa.bindparam("shown"),
            detail=sa.bindparam("words"),
            category=sa.bindparam("reason"),
            closed_at=utcnow(),
        )
    )


def _row(new: NewClaim) -> dict[str, Any]:
    subject = new.subject
    values = {
        "claim": new.claim,
        "run_id": new.key.run_id,
        "sequence": new.key.sequence,
        "carrier": _CARRIER,
        "operation": subject.operation,
        "kind": str(StepKind.CLAIM),
        "iccid": subject.iccid,
        "service_provider_id": subject.service_provider_id,
        "device_change_id": subject.device_change_id,
        "bulk_change_id": subject.bulk_change_id,
        "intent": "{}",
        "state": CLAIM_OPEN,
    }
    checks = {"locked_iccid": subject.iccid, "refuse_locked": int(new.refuse_locked), "taken": new.claim}
    return parameters(values) | checks


def _end_row(end: ClaimEnd) -> dict[str, Any]:
    return {
        "held": end.claim,
        "holder": end.key.run_id,
        "own_name": str(StepKey(end.key.run_id, end.key.sequence)),
        "ended": end.state,
        "shown": None if end.answer is None else json.dumps(end.answer),
        "words": end.detail,
        "reason": end.category,
    }
