"""What a run decided about its devices, kept for `runs show` and for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from pondctl.db.batches import execute_many, insert_into
from pondctl.db.dialects import cut
from pondctl.db.own_tables import OwnTables
from pondctl.db.records import StoredOutcome
from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Outcome


class Outcomes:
    """Writes and reads the table `outcome`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.outcome

    def add(self, run_id: str, outcomes: Sequence[DeviceOutcome]) -> None:
        """Keep the outcomes in this order."""
        execute_many(
            self._connection, insert_into(self._table), [_row(run_id, outcome) for outcome in outcomes]
        )

    def page(self, run_id: str, after: int, limit: int) -> list[StoredOutcome]:
        """The next outcomes of a run; `after` 0 begins."""
        t = self._table.c
        return self._read(sa.and_(t.run_id == run_id, t.id > after), limit)

    def counts(self, run_id: str) -> dict[Outcome, int]:
        """How many of each outcome are kept."""
        t = self._table.c
        query = sa.select(t.outcome, sa.func.count()).where(t.run_id == run_id).group_by(t.outcome)
        return {Outcome(word): count for word, count in self._connection.execute(query)}

    def tally(self, run_id: str) -> dict[tuple[str, str], int]:
        """How many of each outcome and category are kept; the category is empty where there is none."""
        t = self._table.c
        said = sa.select(t.outcome, t.category, sa.func.count()).where(t.run_id == run_id)
        found = self._connection.execute(said.group_by(t.outcome, t.category))
        return {(outcome, category or ""): count for outcome, category, count in found}

    def page_unknown(self, after: int, limit: int) -> list[StoredOutcome]:
        """The next rows with a lost answer, each with the last outcome that said so."""
        t = self._table.c
        lost = sa.and_(t.outcome == str(Outcome.UNKNOWN), t.device_change_id.is_not(None))
        last = sa.select(sa.func.max(t.id)).where(lost).group_by(t.device_change_id)
        return self._read(sa.and_(t.id.in_(last), t.id > after), limit)

    def newest_of(self, iccids: Sequence[str]) -> dict[int, DeviceOutcome]:
        """For each row (by its id) that names one of these devices: the last outcome kept of it."""
        t = self._table.c
        last = sa.select(sa.func.max(t.id)).where(t.iccid.in_(iccids)).group_by(t.device_change_id)
        found = self._read(t.id.in_(last), None)
        return {
            s.outcome.device_change_id: s.outcome for s in found if s.outcome.device_change_id is not None
        }

    def _read(self, where: sa.ColumnElement[bool], limit: int | None) -> list[StoredOutcome]:
        t = self._table.c
        names = (t.iccid, t.outcome, t.category, t.carrier_state, t.msisdn, t.detail, t.device_change_id)
        query = sa.select(t.id, *names).where(where).order_by(t.id).limit(limit)
        return [
            StoredOutcome(row[0], _outcome(row[1], row[2], row[3], tuple(row[4:])))
            for row in self._connection.execute(query)
        ]


def _outcome(iccid: str, outcome: str, category: str | None, more: tuple[Any, ...]) -> DeviceOutcome:
    return DeviceOutcome(iccid, Outcome(outcome), Category(category) if category else None, *more)


def _row(run_id: str, outcome: DeviceOutcome) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "iccid": cut(outcome.iccid, 50),
        "device_change_id": outcome.device_change_id,
        "outcome": str(outcome.outcome),
        "category": None if outcome.category is None else str(outcome.category),
        "carrier_state": None if outcome.carrier_state is None else cut(outcome.carrier_state, 100),
        "msisdn": None if outcome.msisdn is None else cut(outcome.msisdn, 50),
        "detail": outcome.detail,
    }
