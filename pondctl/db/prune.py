"""Removes what is older than the retention, in short transactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.dialects import ROWS_A_STATEMENT, utc_in
from pondctl.db.own_tables import OwnTables
from pondctl.db.unit import Unit

_DAY: Final = 86_400.0
_ENDED_MESSAGES: Final = ("sent", "done")
_ENDED_LETTERS: Final = ("requeued", "discarded")
_ENDED_STEPS: Final = ("done", "failed")


def prune(database: Database, retention_days: float) -> Mapping[str, int]:
    """Delete what ended before the retention; returns how many rows of each table.

    What is open stays whatever its age: a run that lives, a message that waits, an open dead letter,
    an open or unknown step. The audit trail stays too: each row of it proves the one before.
    """
    own = database.own_tables
    counts: dict[str, int] = {}
    for table, old in _old_rows(own, -retention_days * _DAY):
        counts[table.name] = _prune_table(database, table, old)
    return counts


def _old_rows(own: OwnTables, since: float) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    run, letter, message = own.run.c, own.dead_letter.c, own.message.c
    old_runs = sa.select(run.run_id).where(run.finished_at < utc_in(since))
    ended_message = sa.and_(message.state.in_(_ENDED_MESSAGES), message.changed_at < utc_in(since))
    ended_letter = sa.and_(letter.state.in_(_ENDED_LETTERS), letter.changed_at < utc_in(since))
    ended_step = sa.and_(own.step.c.state.in_(_ENDED_STEPS), own.step.c.closed_at < utc_in(since))
    # Outcomes go before the runs that tell their age.
    return [
        (own.outcome, own.outcome.c.run_id.in_(old_runs)),
        (own.run, run.finished_at < utc_in(since)),
        (own.message, ended_message),
        (own.dead_letter, ended_letter),
        (own.step, ended_step),
        (own.observation, own.observation.c.observed_at < utc_in(since)),
        (own.device_check, own.device_check.c.checked_at < utc_in(since)),
        (own.alert, sa.and_(own.alert.c.state == "resolved", own.alert.c.resolved_at < utc_in(since))),
        (own.meta, sa.and_(own.meta.c.name.startswith("calls:"), own.meta.c.changed_at < utc_in(since))),
        (own.token, own.token.c.changed_at < utc_in(since)),
    ]


def _prune_table(database: Database, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    def delete_some(unit: Unit) -> int:
        picked = sa.select(table.c.id).where(old).order_by(table.c.id).limit(ROWS_A_STATEMENT)
        ids = list(unit.state.execute(picked).scalars())
        if ids:
            unit.state.execute(sa.delete(table).where(table.c.id.in_(ids), old))
        return len(ids)

    total = 0
    while count := database.write(delete_some):
        total += count
    return total
