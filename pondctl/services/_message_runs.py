"""The runs that messages cause, one for each way. Each raises as the command of the same name does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pondctl.models import RunResult, Stop
from pondctl.services._handling import RunFor
from pondctl.services._next_check import Cause, cause_of
from pondctl.services._run_log import RunLog
from pondctl.services._tasks import Task
from pondctl.services.sync_bulk import SyncBulk, SyncRequest

# No queue keeps a message longer; a date beyond it is a clock that is wrong.
_LONGEST_RETENTION: Final = timedelta(days=14)


def syncing(sync_bulk: Callable[[], SyncBulk], workers: int) -> RunFor:
    """`sync-bulk` for a message. Its outcome decides the next check, which the worker sends."""

    def run(task: Task, stop: Stop, report: RunLog) -> RunResult:
        cause = cause_for(task)
        request = SyncRequest(cause.message.bulk_change_id, workers=workers, cause=cause)
        return replace(sync_bulk(), stop=stop, outbox=None).run(request, report)

    return run


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
