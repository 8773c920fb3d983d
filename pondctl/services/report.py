"""All about one bulk change, for people who were not there: figures, runs, what is open, every device."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from pondctl.db.database import Database
from pondctl.db.records import RunRecord
from pondctl.db.unit import Unit
from pondctl.models import Carrier, Outcome
from pondctl.services.bulk import BulkSite, show_bulk_change
from pondctl.services.reporting.devices import DeviceWalk, Row
from pondctl.services.reporting.timeline import Series
from pondctl.telemetry.call_times import BOUNDS, calls_name

_RUNS: Final = 100
_STATES, _POINTS = 8, 240
_FINE: Final = ("done", "unchanged")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before the devices are read. `calls`: carrier and endpoint, then counts by bucket."""

    head: Mapping[str, Any]
    runs: Sequence[Mapping[str, object]]
    more_runs: bool
    calls: Mapping[str, Sequence[int]]
    now: datetime


@dataclass(frozen=True, slots=True)
class Sums:
    """What the devices come to; `devices` are all, `rows` those that are kept, whole ones last."""

    devices: int
    outcomes: Mapping[str, int]
    categories: Mapping[str, int]
    reasons: Sequence[tuple[str, int]]
    states: Series | None
    settled: Series | None
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Listed:
    """Some devices, and how many there are."""

    rows: Iterable[Row]
    total: int


class BulkReport:
    """The report of one bulk change. Raises `NotFoundError` where there is none with this id."""

    bounds = BOUNDS

    def __init__(self, site: BulkSite, bulk_change_id: int) -> None:
        database: Database = site.database
        head = show_bulk_change(site, bulk_change_id)
        self.facts = database.read(lambda unit: _read_facts(unit, bulk_change_id, head))
        start = self.facts.head["created"] or self.facts.now
        carrier = Carrier(str(head["carrier"])) if head["carrier"] else None
        self._walk = DeviceWalk(database, bulk_change_id, carrier, start)

    def devices(self, outcome: Outcome | None, limit: int | None) -> Listed:
        """The devices by id, read as they are asked for; with this outcome, at most so many."""
        rows = (row for row in self._walk.rows() if outcome is None or row["outcome"] == outcome)
        counted = self.facts.head["devices"] if outcome is None else self.facts.head["counts"].get(outcome, 0)
        return Listed(islice(rows, limit), counted)

    def sums(self, keep: int) -> Sums:
        """Read all devices, and keep at most so many rows: first those that are not simply done."""
        open_: list[Row] = []
        fine: list[Row] = []
        for row in self._walk.rows():
            rows = fine if row["outcome"] in _FINE else open_
            if len(rows) < keep:
                rows.append(row)
        walk = self._walk
        return Sums(
            devices=walk.outcomes.total(),
            outcomes=walk.outcomes,
            categories=dict(walk.categories.most_common()),
            reasons=walk.reasons.most_common(10),
            states=walk.states.series(_STATES, _POINTS),
            settled=walk.settled.series(_STATES, _POINTS),
            rows=[*open_, *fine][:keep],
        )


def _read_facts(unit: Unit, bulk_change_id: int, head: Mapping[str, Any]) -> Facts:
    runs = unit.runs.list_recent(_RUNS + 1, target=f"bulk_change:{bulk_change_id}")
    calls: dict[str, list[int]] = {}
    for text in unit.meta.texts([calls_name(run.run_id) for run in runs[:_RUNS]]):
        for name, counts in json.loads(text).items():
            before = calls.get(name, [0] * len(counts))
            calls[name] = [a + b for a, b in zip(before, counts, strict=True)]
    return Facts(head, [_run(run) for run in runs[:_RUNS]], len(runs) > _RUNS, calls, unit.now())


def _run(run: RunRecord) -> Mapping[str, object]:
    ended = run.finished_at or run.heartbeat_at
    return {
        "id": run.run_id,
        "command": run.command,
        "state": "stale" if run.stale else run.state,
        "actor": f"{run.actor}@{run.host}",
        "started": run.started_at,
        "finished": run.finished_at,
        "seconds": round((ended - run.started_at).total_seconds(), 1),
        "counts": ", ".join(f"{count:,} {word}" for word, count in run.counts.items()) or None,
        "reason": run.reason,
        "error": run.error,
    }
