"""Look at bulk changes: how far each one is, and what waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.models import BulkChangeSummary


@dataclass(frozen=True, slots=True)
class BulkList:
    """Some bulk changes, newest first, and how many there are."""

    rows: list[Mapping[str, object]]
    total: int


def list_bulk_changes(database: Database, *, limit: int | None, status: str | None) -> BulkList:
    """The newest bulk changes with what their rows say now."""

    def read(unit: Unit) -> BulkList:
        found = unit.bulk_changes.list_summaries(limit=limit, status=status)
        return BulkList([_line(summary) for summary in found], unit.bulk_changes.count(status=status))

    return database.read(read)


def show_bulk_change(database: Database, bulk_change_id: int) -> Mapping[str, object]:
    """One bulk change: header, rows by status word, and the check that is queued.

    Raises `NotFoundError` where there is none with this id.
    """

    def read(unit: Unit) -> Mapping[str, object]:
        summary = unit.bulk_changes.summary(bulk_change_id)
        waiting = unit.messages.waiting_for(bulk_change_id)
        run = unit.runs.open_for(f"bulk_change:{bulk_change_id}")
        first = min(waiting, key=lambda message: message.seconds_until_due, default=None)
        return {
            **_line(summary),
            "tenant_id": summary.bulk_change.tenant_id,
            "created_by": summary.bulk_change.created_by,
            "processed": summary.bulk_change.processed_date,
            "run": run.run_id if run else None,
            "next_check": first.retry_number if first else None,
            "next_check_seconds": max(0, round(first.seconds_until_due)) if first else None,
            "next": _advice(summary, running=run is not None, queued=first is not None),
        }

    return database.read(read)


def _line(summary: BulkChangeSummary) -> dict[str, object]:
    bulk_change = summary.bulk_change
    return {
        "id": str(bulk_change.id),
        "status": bulk_change.status,
        "type": bulk_change.change_request_type,
        "service_provider_id": str(bulk_change.service_provider_id),
        "devices": summary.devices,
        "settled": summary.settled,
        "with_errors": summary.with_errors,
        "without_msisdn": summary.without_msisdn,
        "created": bulk_change.created_date,
    }


def _advice(summary: BulkChangeSummary, *, running: bool, queued: bool) -> str | None:
    """What to run next; None when nothing is to be done by hand."""
    bulk_change_id = summary.bulk_change.id
    if running or (queued and summary.settled < summary.devices):
        return None
    return f"pondctl sync-bulk {bulk_change_id}" if summary.settled < summary.devices else None
