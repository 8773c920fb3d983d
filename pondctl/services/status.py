"""One screen about the whole: what is open, what waits, what is stuck, what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pondctl.clients.queue import QueueDepth
from pondctl.clients.tokens import TokenStore
from pondctl.db.database import Database
from pondctl.db.records import RunRecord
from pondctl.services.alerting.gauges import Gauges
from pondctl.services.alerting.watch import OpenAlert
from pondctl.services.alerting.workers import list_workers


def show_status(
    database: Database,
    *,
    profile: str,
    gauges: Gauges,
    alerts: Sequence[OpenAlert],
    tokens: TokenStore | None,
) -> Mapping[str, object]:
    """Everything the status screen shows. No `tokens`: ThingSpace is not configured."""
    workers = database.read(list_workers)
    found = database.read(lambda unit: unit.runs.list_recent(1, command="reconcile"))
    return {
        "profile": profile,
        "open_bulk_changes": gauges.open_bulk_changes,
        "open_unknown": gauges.open_unknown,
        **_depth("queue", gauges.queue),
        **(_depth("outbox", gauges.outbox) if gauges.outbox else {}),
        "dead_letters": gauges.dead_letters,
        "dead_letters_oldest_seconds": gauges.dead_letters_oldest_seconds,
        "dead_letters_unsaved": gauges.dead_letters_unsaved,
        "workers": len(workers),
        "runs": gauges.running,
        "stale_runs": ", ".join(gauges.stale_runs) or None,
        "refused_logins": tokens.load().refused if tokens else None,
        **_reconcile(found[0] if found else None),
        "alerts": [
            {"kind": each.kind, "subject": each.subject, "since": each.since, "detail": each.detail}
            for each in alerts
        ],
    }


def _depth(name: str, depth: QueueDepth | None) -> Mapping[str, object]:
    return {
        f"{name}_waiting": depth and depth.waiting,
        f"{name}_delayed": depth and depth.delayed,
        f"{name}_in_flight": depth and depth.in_flight,
        f"{name}_oldest_seconds": depth and depth.oldest_age_seconds,
    }


def _reconcile(run: RunRecord | None) -> Mapping[str, object]:
    """The last one: when, how it ended, and how much drift it found."""
    if run is None:
        return {"last_reconcile": None}
    drift = sum(run.counts.values()) if run.state == "done" else None
    return {
        "last_reconcile": run.finished_at or run.started_at,
        "last_reconcile_state": run.state,
        "last_reconcile_drift": drift,
    }
