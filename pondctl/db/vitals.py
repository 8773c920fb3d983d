"""What alerts, notifications and `status` are judged by, over all processes, in database time."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.own_tables import OwnTables
from pondctl.db.runs import RUNNING
from pondctl.db.step_records import StepKind, StepState

_NO_WRITES: Final = (str(StepKind.CLAIM), str(StepKind.TARGETS))
_EPOCH: Final = datetime(1970, 1, 1)
_LATELY: Final = 1000
_UNTOLD: Final = 1000
_HOUR: Final = 3600.0
_NAMES_A_STATEMENT: Final = 500


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run as an alert sees it. `ago`: seconds since its end; None: it is at work."""

    run_id: str
    command: str
    target: str | None
    counts: Mapping[str, int]
    error_code: str | None
    seconds: float
    ago: float | None


@dataclass(frozen=True, slots=True)
class Transition:
    """So many devices went from one state to another within a run."""

    run_id: str
    previous: str
    state: str
    count: int


class Vitals:
    """Reads `run`, `step`, `pace`, `observation`; and notes which runs were told of."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._run = tables.run
        self._step = tables.step
        self._pace = tables.pace
        self._letter = tables.dead_letter
        self._observation = tables.observation

    def runs(self) -> list[SeenRun]:
        """The newest runs, newest first; of those that did not end only such as live."""
        r = self._run.c
        alive = sa.or_(r.state != RUNNING, r.lease_until > utcnow())
        return self._runs(alive, _LATELY)

    def unresolved_writes(self, providers: Collection[int] = ()) -> int:
        """Carrier writes whose answer was lost, or whose run died before it came.

        `providers` narrows to those service providers, and to what is known to be nobody's.
        """
        s, r = self._step.c, self._run.c
        alive = sa.exists().where(r.run_id == s.run_id, r.state == RUNNING, r.lease_until > utcnow())
        lost = sa.or_(s.state == str(StepState.UNKNOWN), sa.and_(s.state == str(StepState.OPEN), ~alive))
        query = sa.select(sa.func.count()).select_from(self._step).where(s.kind.not_in(_NO_WRITES), lost)
        if providers:
            query = query.where(s.service_provider_id.in_((0, *sorted(providers))))
        return self._connection.execute(query).scalar_one()

    def throttled(self) -> dict[str, float]:
        """The carriers that ever said: too many requests, each with the seconds since."""
        p = self._pace.c
        query = sa.select(p.name, p.throttled_at, utcnow()).where(p.throttled_at > 0)
        return {
            name: (now - _EPOCH - timedelta(microseconds=at)).total_seconds()
            for name, at, now in self._connection.execute(query)
        }

    def expiring_letters(self, hours: float) -> int:
        """Open dead letters that will be lost within so many hours."""
        t = self._letter.c
        query = sa.select(sa.func.count()).select_from(self._letter)
        soon = (t.state == "open", t.expires_at.is_not(None), t.expires_at < utc_in(hours * _HOUR))
        return self._connection.execute(query.where(*soon)).scalar_one()

    def last_ends(self, targets: Sequence[str]) -> dict[str, float]:
        """For each of the targets that a run was over: the seconds since the last one ended."""
        r = self._run.c
        found: dict[str, float] = {}
        for chunk in chunks(targets, _NAMES_A_STATEMENT):
            last = sa.select(r.target, sa.func.max(r.finished_at), utcnow())
            rows = self._connection.execute(last.where(r.target.in_(chunk)).group_by(r.target))
            found |= {target: (now - at).total_seconds() for target, at, now in rows if at is not None}
        return found

    def untold_runs(self) -> list[SeenRun]:
        """Runs that ended within the last hour and that nobody was notified of."""
        r = self._run.c
        return self._runs(sa.and_(r.finished_at > utc_in(-_HOUR), r.notified_at.is_(None)), _UNTOLD)

    def take_runs(self, run_ids: Sequence[str]) -> set[str]:
        """Undertake to notify of these runs; those that nobody else took."""
        r = self._run.c
        taken: set[str] = set()
        for chunk in chunks(run_ids, _NAMES_A_STATEMENT):
            update = sa.update(self._run).where(r.run_id.in_(chunk), r.notified_at.is_(None))
            taking = update.values(notified_at=utcnow()).returning(r.run_id)
            taken.update(self._connection.execute(taking).scalars())
        return taken

    def give_back(self, run_ids: Sequence[str]) -> None:
        """Nobody could be notified of them."""
        for chunk in chunks(run_ids, _NAMES_A_STATEMENT):
            update = sa.update(self._run).where(self._run.c.run_id.in_(chunk))
            self._connection.execute(update.values(notified_at=sa.null()))

    def transitions(self, run_ids: Sequence[str]) -> list[Transition]:
        """How the states of devices changed within these runs."""
        o = self._observation.c
        found: list[Transition] = []
        for chunk in chunks(run_ids, _NAMES_A_STATEMENT):
            query = (
                sa.select(o.run_id, o.previous, o.state, sa.func.count())
                .where(o.run_id.in_(chunk), o.previous.is_not(None), o.previous != o.state)
                .group_by(o.run_id, o.previous, o.state)
            )
            found += [Transition(*row) for row in self._connection.execute(query)]
        return found

    def _runs(self, where: sa.ColumnElement[bool], limit: int) -> list[SeenRun]:
        r = self._run.c
        what = (r.run_id, r.command, r.target, r.counts, r.error_code, r.started_at, r.finished_at)
        query = sa.select(*what, utcnow()).where(where).order_by(r.id.desc()).limit(limit)
        return [_seen(row) for row in self._connection.execute(query)]


def _seen(row: Sequence[Any]) -> SeenRun:
    run_id, command, target, counts, code, began, ended, now = row
    seconds = ((ended or now) - began).total_seconds()
    ago = (now - ended).total_seconds() if ended else None
    return SeenRun(run_id, command, target, json.loads(counts or "{}"), code, seconds, ago)
