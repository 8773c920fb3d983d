"""One device's past in one list, newest first, from everything that was kept about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pondctl.db.observations import Observation
from pondctl.db.step_records import DeviceLock, StepKind, StoredStep

Row = Mapping[str, Any]
_NO_EVENT = (StepKind.TARGETS,)


@dataclass(frozen=True, slots=True)
class Past:
    """What was read about a device and its bulk changes."""

    changes: Sequence[Row] = ()
    log: Sequence[Row] = ()
    steps: Sequence[StoredStep] = ()
    messages: Sequence[Row] = ()
    dead_letters: Sequence[Row] = ()
    runs: Sequence[Row] = ()
    outcomes: Sequence[Row] = ()
    observations: Sequence[Observation] = ()
    lock: DeviceLock | None = None
    packages: Sequence[Row] = field(default=())


def timeline(past: Past) -> list[dict[str, object]]:
    """All events that have a time."""
    events = [event for event in _events(past) if event["at"] is not None]
    return sorted(events, key=lambda event: event["at"], reverse=True)


def _events(past: Past) -> Iterator[dict[str, Any]]:
    yield from _changes(past.changes)
    for entry in past.log:
        said = entry["ErrorText"] or entry["ResponseText"]
        yield _event(
            entry["ProcessedDate"], "log", entry["LogEntryDescription"], said, bulk=entry["BulkChangeId"]
        )
    yield from _steps(past.steps)
    yield from _runs(past)
    for message in past.messages:
        what = f"check number {message['retry_number']} is {message['state']}"
        detail = message["error"] or f"due {message['not_before']:%Y-%m-%d %H:%M:%S}Z"
        yield _event(message["created_at"], "message", what, detail, bulk=message["bulk_change_id"])
    for letter in past.dead_letters:
        what = f"dead letter {letter['id']} ({letter['category']}) is {letter['state']}"
        yield _event(
            letter["created_at"], "dead_letter", what, letter["reason"], bulk=letter["bulk_change_id"]
        )
    for seen in past.observations:
        # Also a number that is new is a change.
        was = f"{seen.previous} → " if seen.previous not in (None, seen.state) else ""
        number = f"MSISDN {seen.msisdn}" if seen.msisdn else None
        what = f"{seen.carrier}: {was}{seen.state}"
        yield _event(seen.observed_at, "observation", what, number, run=seen.run_id)
    for package in past.packages:
        what = f"package {package['PackageId']} (type {package['PackageTypeId']}) in the database"
        yield _event(package["CreatedDate"], "package", what, package["Status"])
    if past.lock is not None:
        what = f"locked by {past.lock.locked_by}"
        yield _event(past.lock.locked_at, "lock", what, past.lock.reason)


def _changes(changes: Iterable[Row]) -> Iterator[dict[str, Any]]:
    for row in changes:
        bulk = row["BulkChangeId"]
        asked = f"bulk change {bulk} ({row['HeaderChangeRequestType']}) names it"
        yield _event(row["CreatedDate"], "bulk_change", asked, f"by {row['HeaderCreatedBy']}", bulk=bulk)
        if row["IsProcessed"]:
            by = f" by {row['ProcessedBy']}" if row["ProcessedBy"] else ""
            settled = row["ProcessedDate"] or row["LastModified"]
            yield _event(settled, "row", f"settled {row['Status']}{by}", row["StatusDetails"], bulk=bulk)


def _steps(steps: Iterable[StoredStep]) -> Iterator[dict[str, Any]]:
    for step in steps:
        if step.kind in _NO_EVENT:
            continue
        what = f"{step.operation}: {step.kind}: {step.state}"
        yield _event(step.closed_at or step.opened_at, "step", what, step.detail, run=step.key.run_id)


def _runs(past: Past) -> Iterator[dict[str, Any]]:
    for run in past.runs:
        bulk = int(run["target"].partition(":")[2])
        what = f"{run['command']} by {run['actor']}: {run['state']}"
        at = run["finished_at"] or run["started_at"]
        yield _event(at, "run", what, run["reason"], bulk=bulk, run=run["run_id"])
    for outcome in past.outcomes:
        what = f"{outcome['command']}: {outcome['outcome']}"
        said = ": ".join(filter(None, (outcome["category"], outcome["detail"] or outcome["carrier_state"])))
        at = outcome["finished_at"] or outcome["started_at"]
        yield _event(at, "outcome", what, said or None, run=outcome["run_id"])


def _event(
    at: datetime | None,
    kind: str,
    what: str,
    detail: str | None,
    *,
    bulk: int | None = None,
    run: str | None = None,
) -> dict[str, Any]:
    about = {"bulk_change_id": None if bulk is None else str(bulk), "run_id": run}
    return {"at": at, "kind": kind, "what": what, "detail": detail, **about}
