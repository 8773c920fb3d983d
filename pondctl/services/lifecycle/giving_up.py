"""Ends a life cycle whose retries are used up: its open rows fail, its message becomes a dead letter."""

from __future__ import annotations

from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry
from pondctl.db.unit import Unit
from pondctl.errors import Category
from pondctl.models import BulkStatus, Outcome, RunResult, Stop
from pondctl.services.queueing.deliveries import work_off
from pondctl.services.running.actor import Actor
from pondctl.services.running.run import claimed_run, new_run_id
from pondctl.services.syncing.next_check import Cause

_DETAILS = f"{Category.RETRIES_EXHAUSTED}: checks without progress are used up (queue.max_retries)"


def give_up(database: Database, actor: Actor, stop: Stop, cause: Cause) -> RunResult:
    """Settle what is open as failed, and close the header; raises `BusyError` while another run is at it."""
    bulk_change_id = cause.message.bulk_change_id
    run_id = new_run_id()
    failed = 0
    with claimed_run(
        database,
        stop,
        run_id=run_id,
        command="worker",
        target=f"bulk_change:{bulk_change_id}",
        actor=actor,
        arguments={"gives_up": True},
    ) as run:

        def fail(unit: Unit) -> int:
            run.fence(unit)
            return unit.device_changes.fail_rest(bulk_change_id, _DETAILS, only_without_msisdn=False)

        while count := database.write(fail):
            failed += count

        def end(unit: Unit) -> None:
            run.fence(unit)
            unit.bulk_changes.set_status(bulk_change_id, BulkStatus.ERROR)
            unit.change_log.add([_entry(bulk_change_id, run_id, failed)])
            if cause.delivery is not None:
                work_off(unit, cause.delivery, exhausted=True)
            unit.runs.finish(run_id, "done", {Outcome.FAILED: failed}, None)

        run.counts = {Outcome.FAILED: failed}
        database.write(end)
    return RunResult("worker", run_id, {Outcome.FAILED: failed}, bulk_change_id=bulk_change_id)


def _entry(bulk_change_id: int, run_id: str, failed: int) -> ChangeLogEntry:
    return ChangeLogEntry(
        bulk_change_id=bulk_change_id,
        device_change_id=None,
        description=f"pondctl worker: {failed} devices given up",
        has_errors=True,
        error_text=_DETAILS,
        request_text=f"run {run_id}",
        response_status=BulkStatus.ERROR,
    )
