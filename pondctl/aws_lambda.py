"""The second front door: AWS Lambda calls `handler` with a batch of SQS messages.

The event source needs `ReportBatchItemFailures`: what is not listed in the answer is deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from pondctl.context import AppContext
from pondctl.errors import ConfigurationError, PondctlError, SharedQueueError
from pondctl.models import EMBEDDED_QUEUE, Stop
from pondctl.telemetry.logger import Logger

if TYPE_CHECKING:
    from pondctl.clients.queue import ReceivedMessage
    from pondctl.services.queueing.handling import Handling

# With so much time left no device is begun any more; the rest of the work is queued.
_MARGIN_SECONDS: Final = 60.0
_TIME_IS_OVER: Final = "the time of the invocation is over"
_EPOCH: Final = datetime(1970, 1, 1)
_log = Logger()


class LambdaContext(Protocol):
    """What Lambda tells about an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """How long it may still take."""


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Work off a batch; the answer names the messages that shall come again.

    Settings come from the environment, or from a file that `PONDCTL_CONFIG` names.
    """
    app, handling = _app(), _handling()
    app.stop.clear()
    app.stop.why = None
    received = [_received(record) for record in _records(event)]
    with _time_limit(app.stop, context.get_remaining_time_in_millis() / 1000) as limit:
        again = _work_off(handling, limit, received)
    try:
        if app.queueing.outbox is not None:
            app.queueing.outbox.flush()
            app.queueing.outbox.require_all_sent()
    except PondctlError as error:
        # Only a redelivery comes by again and sends the outbox.
        _log.error("outbox not sent", error=error.message)
        again = [message.message_id for message in received]
    app.telemetry.end_batch()
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


@cache
def _app() -> AppContext:
    """One for all invocations of a process: its connections and tokens are used again."""
    app = AppContext()
    app.log_format = "json"
    app.start_logging(service=True)
    return app


@cache
def _handling() -> Handling:
    from pondctl.commands._life_cycle import life_cycle

    app = _app()
    app.settings.require_role("operator")
    if app.queue_name == EMBEDDED_QUEUE:
        raise ConfigurationError(
            "the Lambda handler needs an SQS queue for the next checks",
            hint="set queue.url (PONDCTL_QUEUE__URL) to the URL of the event source's queue",
        )
    return app.queueing.handling(partial(life_cycle, app))


def close() -> None:
    """Close what an environment has opened; the next invocation begins anew."""
    _app().close()
    _app.cache_clear()
    _handling.cache_clear()


class _TimeLimit:
    """Stops the run at work when the time is over. Each run has a `Stop` of its own, as in the worker."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self._run = Stop()

    def next_run(self) -> Stop:
        """The stop of the next run."""
        self._run = Stop()
        if self.stop.is_set():
            self._run.request(self.stop.why or "stop")
        return self._run

    def end(self, why: str) -> None:
        """Begin nothing more."""
        self._run.request(why)
        self.stop.request(why)


@contextmanager
def _time_limit(stop: Stop, seconds: float) -> Iterator[_TimeLimit]:
    limit = _TimeLimit(stop)
    if seconds <= _MARGIN_SECONDS:
        _log.error("no time to work", seconds_left=seconds, hint="give the function a timeout of 900 s")
        limit.end(_TIME_IS_OVER)
    timer = threading.Timer(max(0.0, seconds - _MARGIN_SECONDS), limit.end, [_TIME_IS_OVER])
    timer.daemon = True
    timer.start()
    try:
        yield limit
    finally:
        timer.cancel()


def _work_off(handling: Handling, limit: _TimeLimit, received: Sequence[ReceivedMessage]) -> list[str]:
    """Do one message after the other; returns the ids of those that shall come again.

    In a FIFO queue the first that fails holds back the later ones of its group.
    """
    again: list[str] = []
    held_back: set[str | None] = set()
    for task in handling.look_at(received):
        message = task.delivery.received
        refused = limit.stop.is_set() and limit.stop.why != _TIME_IS_OVER
        if refused or (message.group is not None and message.group in held_back):
            again.append(message.message_id)
            continue
        if task.is_run and limit.stop.is_set():
            handled = handling.postpone(task)
        else:
            handled = handling.handle(task, limit.next_run())
        if not handled.delete:
            again.append(message.message_id)
            held_back.add(message.group)
        if handled.ends is not None:
            _log.error("message refused", error=handled.ends.message, hint=handled.ends.hint)
            # A message of others is its sender's business; anything else would fail the next one too.
            if not isinstance(handled.ends, SharedQueueError):
                limit.end(handled.ends.message)
    return again


def _records(event: object) -> Sequence[Mapping[str, Any]]:
    """The messages; none where a schedule calls, which sends the outbox. Raises for any other trigger."""
    records = event.get("Records", []) if isinstance(event, Mapping) else None
    if not isinstance(records, list) or not all(map(_is_message, records)):
        raise ConfigurationError(
            "the event is no batch of SQS messages",
            hint="the function's trigger is to be the SQS queue itself, as an event source",
        )
    return records


def _is_message(record: object) -> bool:
    return isinstance(record, Mapping) and isinstance(record.get("messageId"), str)


def _received(record: Mapping[str, Any]) -> ReceivedMessage:
    from pondctl.clients.attributes import flatten
    from pondctl.clients.queue import ReceivedMessage

    system = record.get("attributes") or {}
    sent_ms = system.get("SentTimestamp")
    return ReceivedMessage(
        message_id=record["messageId"],
        receipt=record.get("receiptHandle", ""),
        attributes=flatten(record.get("messageAttributes") or {}),
        body=record.get("body") or "",
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        sent_at=_EPOCH + timedelta(milliseconds=int(sent_ms)) if sent_ms else None,
        group=system.get("MessageGroupId"),
    )
