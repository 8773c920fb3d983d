"""Probes of what pondctl itself left: runs that died, alerts that are open. Records nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pondctl.db.database import Database
from pondctl.services.alerting.watch import AlertWatch
from pondctl.services.doctoring.found import Found, finding, ok

_SHOWN = 10


def ask_runs(database: Database) -> Iterator[Found]:
    """Runs that say that they are at work and are dead."""
    stale = database.read(lambda unit: unit.runs.list_recent(state="running", stale_only=True))
    for run in stale[:_SHOWN]:
        again = (
            f"run pondctl {run.command} again, or: pondctl runs show {run.run_id}; "
            f"where nothing is left to do: pondctl runs cancel {run.run_id}"
        )
        yield finding(
            f"run {run.run_id} ({run.command}, {run.actor} on {run.host}) died without ending", again
        )
    if len(stale) > _SHOWN:
        yield finding(f"{len(stale) - _SHOWN:,} more runs died without ending", "pondctl runs list --stale")
    if not stale:
        yield ok("no run has died without ending")


def ask_alerts(watch: AlertWatch) -> Iterator[Found]:
    """What is wrong at work."""
    found = watch.judge_only()
    for alert in found:
        yield finding(
            f"alert {alert.kind.replace('_', ' ')} ({alert.subject}): {alert.detail}", "pondctl status"
        )
    if not found:
        yield ok("no alert is open")
