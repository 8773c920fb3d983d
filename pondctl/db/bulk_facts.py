"""What pondctl's own tables say about some bulk changes: one statement for all of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.messages import IN_FLIGHT, SENT, WAITING
from pondctl.db.own_tables import OwnTables
from pondctl.db.step_records import StepKind, StepState

# A sent check that was due this long ago is lost: nobody remembers it.
_LOST_SECONDS: Final = 3600
_NO_WRITES: Final = (str(StepKind.CLAIM), str(StepKind.TARGETS))
_UNRESOLVED: Final = (str(StepState.OPEN), str(StepState.UNKNOWN))


@dataclass(frozen=True, slots=True)
class ComingCheck:
    """The next message about a bulk change; below 0 it is overdue. `in_hand`: somebody works on it."""

    retry_number: int
    seconds_until_due: float
    in_hand: bool


@dataclass(frozen=True, slots=True)
class OpenLetter:
    """The newest open dead letter of a bulk change, and how many there are."""

    id: int
    category: str
    count: int


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who gave a bulk change up, and why."""

    run_id: str
    actor: str
    reason: str | None
    finished_at: datetime | None


class BulkFacts:
    """Reads messages, dead letters, steps and runs by bulk change; ids are at most `ROWS_A_STATEMENT`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._message = tables.message.c
        self._letter = tables.dead_letter.c
        self._step = tables.step.c
        self._run = tables.run.c

    def coming_checks(self, bulk_change_ids: Collection[int]) -> dict[int, ComingCheck]:
        """The first message still to come of each."""
        t = self._message
        sent = sa.and_(t.state == SENT, t.not_before > utc_in(-_LOST_SECONDS))
        coming = sa.or_(t.state.in_((WAITING, IN_FLIGHT)), sent)
        query = (
            sa.select(t.bulk_change_id, t.retry_number, t.visible_at, t.state, utcnow())
            .where(t.bulk_change_id.in_(bulk_change_ids), coming)
            .order_by(t.visible_at.desc())
        )
        # The last one of each is the first that is due.
        return {
            row[0]: ComingCheck(row[1], (row[2] - row[4]).total_seconds(), row[3] == IN_FLIGHT)
            for row in self._connection.execute(query)
        }

    def open_letters(self, bulk_change_ids: Collection[int]) -> dict[int, OpenLetter]:
        """The dead letters that a person has to look at."""
        t = self._letter
        query = (
            sa.select(t.bulk_change_id, t.id, t.category)
            .where(t.bulk_change_id.in_(bulk_change_ids), t.state == "open")
            .order_by(t.id)
        )
        found: dict[int, OpenLetter] = {}
        for bulk_change_id, letter_id, category in self._connection.execute(query):
            before = found.get(bulk_change_id)
            found[bulk_change_id] = OpenLetter(letter_id, category, before.count + 1 if before else 1)
        return found

    def unresolved_rows(self, bulk_change_ids: Collection[int]) -> dict[int, int]:
        """How many rows have a carrier write whose answer is not known."""
        t = self._step
        query = (
            sa.select(t.bulk_change_id, sa.func.count(sa.distinct(t.device_change_id)))
            .where(t.state.in_(_UNRESOLVED), t.kind.not_in(_NO_WRITES), t.bulk_change_id.in_(bulk_change_ids))
            .group_by(t.bulk_change_id)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def unresolved_row_ids(self, bulk_change_ids: Collection[int]) -> dict[int, set[int]]:
        """Those rows themselves."""
        t = self._step
        query = (
            sa.select(t.bulk_change_id, t.device_change_id)
            .where(t.state.in_(_UNRESOLVED), t.kind.not_in(_NO_WRITES), t.bulk_change_id.in_(bulk_change_ids))
            .distinct()
        )
        found: dict[int, set[int]] = {}
        for bulk_change_id, row_id in self._connection.execute(query):
            if row_id is not None:
                found.setdefault(bulk_change_id, set()).add(row_id)
        return found

    def cancellations(self, bulk_change_ids: Collection[int]) -> dict[int, Cancellation]:
        """The last time that each of them was given up."""
        t = self._run
        targets = {f"bulk_change:{each}": each for each in bulk_change_ids}
        query = (
            sa.select(t.target, t.run_id, t.actor, t.reason, t.finished_at)
            .where(t.target.in_(targets), t.command == "bulk cancel", t.state == "done")
            .order_by(t.id)
        )
        return {targets[row[0]]: Cancellation(*row[1:]) for row in self._connection.execute(query)}
