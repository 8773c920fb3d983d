"""Look at runs: who ran what, where and why, what came of it, and which steps it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from pondctl.db.database import Database
from pondctl.db.records import RunRecord, StoredOutcome
from pondctl.db.runs import RUNNING
from pondctl.db.step_records import StepKind, StoredStep
from pondctl.db.unit import Unit
from pondctl.errors import UsageError
from pondctl.models import Operation
from pondctl.services._visible import visible_run, visible_runs
from pondctl.services.auditing.trail import Trail
from pondctl.services.lifecycle.claiming import is_over

_PAGE = 500
_RESUMABLE = frozenset(str(operation) for operation in Operation) - {str(Operation.SYNC)}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; every field that is given narrows."""

    state: str | None = None
    command: str | None = None
    stale_only: bool = False


def list_runs(database: Database, limit: int | None, chosen: RunFilter) -> list[Mapping[str, object]]:
    """The newest runs."""

    def read(unit: Unit) -> list[RunRecord]:
        # Where some may not be seen, the database cannot tell how many are to be read.
        most = None if unit.host_tables.service_provider_ids else limit
        found = unit.runs.list_recent(
            most, state=chosen.state, command=chosen.command, stale_only=chosen.stale_only
        )
        return visible_runs(unit, found)[:limit]

    return [_line(run) for run in database.read(read)]


def show_run(database: Database, run_id: str, limit: int | None) -> Mapping[str, object]:
    """One run with its outcomes and steps, at most `limit` of each. Raises `NotFoundError`."""
    run = database.read(lambda unit: visible_run(unit, run_id))
    outcomes, more_outcomes = _first(_outcomes(database, run_id), limit)
    steps, more_steps = _first(_steps(database, run_id), limit)
    return {
        **_line(run),
        "host": run.host,
        "pid": run.pid,
        "profile": run.profile,
        "arguments": dict(run.arguments),
        "last_seen": run.heartbeat_at,
        "cancel_requested": run.cancel_requested,
        "error": run.error,
        "next": _advice(run),
        "outcomes": outcomes,
        "steps": steps,
        "more": "--all shows the rest" if more_outcomes or more_steps else None,
    }


def cancel_run(database: Database, trail: Trail, run_id: str, reason: str | None) -> Mapping[str, object]:
    """Ask a run, on whatever host, to stop in an orderly way; it does so within a heartbeat.

    One that is dead would never do so: it is ended here.
    """

    def write(unit: Unit) -> RunRecord:
        visible_run(unit, run_id)
        if not unit.runs.request_cancel(run_id, reason):
            raise UsageError(f"run {run_id} has ended already", hint=f"`pondctl runs show {run_id}`")
        _end_if_dead(unit, trail, run_id)
        return unit.runs.get(run_id)

    return _line(database.write(write)) | {"cancel_requested": True}


def end_dead_run(database: Database, trail: Trail, run_id: str) -> None:
    """Let a run whose process has died no longer count as one at work. What it left open stays open."""
    database.write(lambda unit: _end_if_dead(unit, trail, run_id))


def _end_if_dead(unit: Unit, trail: Trail, run_id: str) -> None:
    run = unit.runs.get(run_id)
    if run.state == RUNNING and is_over(run) and unit.claims.take_over(run):
        trail.seal(unit, run_id)


def _line(run: RunRecord) -> dict[str, object]:
    return {
        "id": run.run_id,
        "command": run.command,
        "state": "stale" if run.stale else run.state,
        "target": run.target,
        "actor": f"{run.actor}@{run.host}",
        "started": run.started_at,
        "finished": run.finished_at,
        "counts": dict(run.counts) or None,
        "reason": run.reason,
    }


def _advice(run: RunRecord) -> str | None:
    """What to run next; None when nothing is to be done by hand."""
    if run.state == RUNNING and not run.stale:
        return f"pondctl runs cancel {run.run_id}"
    finished = run.state == "done" and not set(run.counts) - {"done", "unchanged"}
    return None if finished or run.command not in _RESUMABLE else f"pondctl runs resume {run.run_id}"


def _first(
    rows: Iterator[Mapping[str, object]], limit: int | None
) -> tuple[list[Mapping[str, object]], bool]:
    found: list[Mapping[str, object]] = []
    for row in rows:
        if limit is not None and len(found) >= limit:
            return found, True
        found.append(row)
    return found, False


def _outcomes(database: Database, run_id: str) -> Iterator[Mapping[str, object]]:
    after = 0
    while page := database.read(partial(_outcome_page, run_id, after)):
        after = page[-1].seq
        for stored in page:
            outcome = stored.outcome
            yield {
                "iccid": outcome.iccid,
                "outcome": str(outcome.outcome),
                "category": outcome.category and str(outcome.category),
                "detail": outcome.detail,
            }


def _steps(database: Database, run_id: str) -> Iterator[Mapping[str, object]]:
    after = 0
    while page := database.read(partial(_step_page, run_id, after)):
        after = page[-1].key.sequence
        yield from map(_step, page)


def _outcome_page(run_id: str, after: int, unit: Unit) -> list[StoredOutcome]:
    return unit.outcomes.page(run_id, after, _PAGE)


def _step_page(run_id: str, after: int, unit: Unit) -> list[StoredStep]:
    return unit.steps.page(run_id, after, _PAGE)


def _step(step: StoredStep) -> Mapping[str, object]:
    """A claim shows what its device had before and after; a write what was asked and answered."""
    is_claim = step.kind == StepKind.CLAIM
    return {
        "step": str(step.key),
        "iccid": step.iccid,
        "kind": "device" if is_claim else step.kind,
        "state": step.state,
        "asked": None if is_claim else dict(step.intent),
        "answer": None if step.answer is None else dict(step.answer),
        "detail": step.detail,
        "opened": step.opened_at,
        "closed": step.closed_at,
    }
