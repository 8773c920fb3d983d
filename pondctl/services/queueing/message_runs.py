"""The runs that messages cause, one for each way. Each raises as the command of the same name does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import SharedQueueError, UsageError
from pondctl.models import DeviceChange, Operation, RunResult, Stop
from pondctl.services._origin import may_be_terminated, origin_of
from pondctl.services.ingest import Ingest
from pondctl.services.lifecycle.giving_up import give_up
from pondctl.services.lifecycle.life_cycle import LifeCycle
from pondctl.services.lifecycle.request import LifeRequest
from pondctl.services.lifecycle.rows import operation_of
from pondctl.services.queueing.handling import RunFor
from pondctl.services.queueing.tasks import Task
from pondctl.services.running.run_log import RunLog
from pondctl.services.sync_bulk import SyncBulk, SyncRequest
from pondctl.services.syncing.next_check import Cause, cause_of

# No queue keeps a message longer; a date beyond it is a clock that is wrong.
_LONGEST_RETENTION: Final = timedelta(days=14)
_PAGE: Final = 1000


def syncing(sync_bulk: Callable[[], SyncBulk], workers: int) -> RunFor:
    """`sync-bulk` for a message. Its outcome decides the next check, which the worker sends."""

    def run(task: Task, stop: Stop, report: RunLog) -> RunResult:
        cause = cause_for(task)
        request = SyncRequest(cause.message.bulk_change_id, workers=workers, cause=cause)
        return replace(sync_bulk(), stop=stop, outbox=None).run(request, report)

    return run


def living(life_cycle: Callable[[str | None], LifeCycle], workers: int) -> RunFor:
    """The life cycle at POND that the rows of a bulk change ask for. `life_cycle` takes the reason."""

    def run(task: Task, stop: Stop, report: RunLog) -> RunResult:
        cause = cause_for(task)
        bulk_change_id = cause.message.bulk_change_id
        service = life_cycle(None)
        operation = _operation(service.database, bulk_change_id)
        reason = None
        if operation is Operation.TERMINATE:
            reason = _reason_to_terminate(service.database, bulk_change_id)
            service = life_cycle(reason)
        if cause.stalled >= service.policy.max_retries:
            report.exhausted = True
            return give_up(service.database, service.actor, stop, cause)
        request = LifeRequest(operation, bulk_change_id=bulk_change_id, reason=reason, workers=workers)
        service = replace(service, stop=stop)
        return service.run(request, service.scope(request), report, cause)

    return run


def hinting(ingest: Callable[[], Ingest], workers: int) -> RunFor:
    """`ingest` for a carrier's notification that came as a message; another delivery finds nothing to do."""

    def run(task: Task, stop: Stop, report: RunLog) -> RunResult:
        if task.hint is None:
            raise AssertionError("a hint is looked into where one was read")
        service = ingest()
        stopping = replace(service.sync_bulk(), stop=stop)
        service = replace(service, stop=stop, outbox=None, sync_bulk=lambda: stopping)
        return service.apply_hint(task.hint, report, workers=workers)

    return run


def _reason_to_terminate(database: Database, bulk_change_id: int) -> str:
    """The reason it was made with; a bulk change that nobody made for that is not ours."""

    def read(unit: Unit) -> str | None:
        bulk_change = unit.bulk_changes.get(bulk_change_id)
        origin = origin_of(unit, bulk_change)
        return origin.reason if origin is not None and may_be_terminated(unit, bulk_change) else None

    reason = database.read(read)
    if reason is None:
        raise SharedQueueError("it would terminate devices, and `pondctl bulk create` did not make it so")
    return reason


def _operation(database: Database, bulk_change_id: int) -> Operation:
    """What the first open row that can be read asks for; rows that ask for something else are skipped."""
    page = _page(database, bulk_change_id, 0)
    while page:
        asked = (operation_of(row.change_request) for row in page if not row.is_processed)
        first = next((operation for operation in asked if operation is not None), None)
        if first is not None:
            return first
        page = _page(database, bulk_change_id, page[-1].id)
    raise UsageError(f"no open row of bulk change {bulk_change_id} asks for anything that POND can do")


def _page(database: Database, bulk_change_id: int, after: int) -> list[DeviceChange]:
    return database.read(lambda unit: unit.device_changes.page(bulk_change_id, after, _PAGE))


def cause_for(task: Task) -> Cause:
    """The cause that a task's message is; without a date of ours, waiting began when it was sent."""
    delivery = task.delivery
    if delivery.message is None or task.seen_at is None:
        raise AssertionError("a run is made for a message that was read")
    return cause_of(delivery.message, _first_seen(delivery.received.sent_at, task.seen_at), delivery)


def _first_seen(sent_at: datetime | None, seen_at: datetime) -> datetime:
    if sent_at is None or not seen_at - _LONGEST_RETENTION <= sent_at <= seen_at:
        return seen_at
    return sent_at
