"""How much there is of everything that waits or is stuck: what `status` shows, and what metrics are told."""

from __future__ import annotations

from dataclasses import dataclass

from pondctl.clients.queue import QueueDepth
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.services._visible import count_open_letters, visible_runs
from pondctl.services.alerting.rules import Kind
from pondctl.services.alerting.watch import OpenAlert
from pondctl.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Gauges:
    """`queue`: None where SQS was not asked, or gave no answer."""

    open_bulk_changes: int
    open_unknown: int
    queue: QueueDepth | None
    outbox: QueueDepth | None
    dead_letters: int
    dead_letters_oldest_seconds: float | None
    dead_letters_unsaved: int | None
    running: int
    stale_runs: tuple[str, ...]


def read_gauges(
    database: Database,
    queue_name: str,
    *,
    embedded: bool,
    sqs: QueueDepth | None = None,
    unsaved: int | None = None,
) -> Gauges:
    """Count, of what belongs to a service provider only what the profile may see.

    A queue is nobody's, and is told as a whole. What lies in SQS (`sqs`, `unsaved`) was asked
    before: no queue is called in here.
    """

    def read(unit: Unit) -> Gauges:
        here = unit.messages.depth(queue_name)
        depth = QueueDepth(here.waiting, here.delayed, here.in_flight, here.oldest_age_seconds)
        running = visible_runs(unit, unit.runs.list_recent(state="running"))
        letters, oldest = count_open_letters(unit)
        return Gauges(
            open_bulk_changes=unit.bulk_changes.count_open(),
            open_unknown=unit.vitals.unresolved_writes(unit.host_tables.service_provider_ids),
            queue=depth if embedded else sqs,
            outbox=None if embedded else depth,
            dead_letters=letters,
            dead_letters_oldest_seconds=oldest,
            dead_letters_unsaved=unsaved,
            running=sum(not run.stale for run in running),
            stale_runs=tuple(run.run_id for run in running if run.stale),
        )

    return database.read(read)


def note_gauges(gauges: Gauges, alerts: list[OpenAlert], refused_logins: int | None) -> None:
    """Tell the metrics."""
    facts = {
        "pondctl_open_bulk_changes": gauges.open_bulk_changes,
        "pondctl_open_unknown": gauges.open_unknown,
        "pondctl_dead_letters": gauges.dead_letters,
        "pondctl_dead_letters_oldest_seconds": gauges.dead_letters_oldest_seconds or 0,
        "pondctl_dead_letters_unsaved": gauges.dead_letters_unsaved,
        "pondctl_stale_runs": len(gauges.stale_runs),
        "pondctl_login_strikes": refused_logins,
    }
    for name, value in facts.items():
        if value is not None:
            metrics.note(name, value)
    for queue, depth in (("checks", gauges.queue), ("outbox", gauges.outbox)):
        if depth is not None:
            _note_queue(queue, depth)
    for kind in Kind:
        metrics.note("pondctl_alert_open", sum(each.kind == kind for each in alerts), alert=kind)


def _note_queue(queue: str, depth: QueueDepth) -> None:
    for state in ("waiting", "delayed", "in_flight"):
        metrics.note("pondctl_queue_messages", getattr(depth, state), queue=queue, state=state)
    metrics.note("pondctl_queue_oldest_seconds", depth.oldest_age_seconds or 0, queue=queue)
