"""Does what a message asks for; the worker and the Lambda handler both come in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pondctl.clients.message import CheckMessage, parse_any
from pondctl.clients.queue import Queue, ReceivedMessage
from pondctl.db.database import Database
from pondctl.db.deliveries import KnownMessage
from pondctl.db.open_work import KnownBulkChange
from pondctl.db.unit import Unit
from pondctl.errors import MessageError, PondctlError
from pondctl.models import RunResult, Stop
from pondctl.services.queueing.deliveries import Delivery, delivery_of
from pondctl.services.queueing.dispatch import Known, Route, Rules, Way, route
from pondctl.services.queueing.mending import Mending
from pondctl.services.queueing.tasks import Handled, Task
from pondctl.services.queueing.trouble import UNAVAILABLE_SECONDS
from pondctl.services.running.run_log import RunLog
from pondctl.telemetry.log_context import log_context
from pondctl.telemetry.logger import Logger

_log = Logger()


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the database says about a batch."""

    bulk_changes: Mapping[int, KnownBulkChange]
    messages: Mapping[str, KnownMessage]
    coming: Mapping[int, Mapping[str, datetime]]
    now: datetime | None

    def about(self, key: str, bulk_change_id: int) -> Known:
        newest = max(self.coming.get(bulk_change_id, {}).values(), default=None)
        return Known(self.bulk_changes.get(bulk_change_id), self.messages.get(key), newest, self.now)


RunFor = Callable[[Task, Stop, RunLog], RunResult]


class Handling:
    """Knows the rules of the queue, and has a run for each way; thread-safe.

    `foreign` is where valid messages go that are not ours; None: the queue may hold none.
    """

    def __init__(
        self,
        database: Database,
        runs: Mapping[Way, RunFor],
        rules: Rules,
        *,
        queue_name: str,
        foreign: Queue | None,
    ) -> None:
        self._database = database
        self._runs = runs
        self._rules = rules
        self._queue_name = queue_name
        self._mending = Mending(database, foreign)

    def look_at(self, received: Sequence[ReceivedMessage]) -> list[Task]:
        """Decide what is to be done with each message of a batch; reads the database once for all."""
        tasks = [self._read(each) for each in received]
        checks = [task.delivery for task in tasks if task.delivery.message is not None]
        if not checks:
            return tasks
        facts = self._database.read(lambda unit: self._facts(unit, checks))
        return [self._decide(task, facts) for task in tasks]

    def forget(self, tasks: Sequence[Task]) -> None:
        """Close the books on messages that were found worked off, before they are deleted."""
        keys = {task.delivery.key for task in tasks if task.booked}
        if keys:
            self._database.write(lambda unit: unit.deliveries.close(keys))

    def handle(self, task: Task, stop: Stop) -> Handled:
        """Do it; what goes wrong is in the answer. Only what is committed may be deleted."""
        delivery = task.delivery
        message = delivery.message
        with log_context(message_id=delivery.key, bulk_change_id=message.bulk_change_id if message else None):
            handled = self._safely(task, lambda task: self._do(task, stop))
            _log.info("message handled", handled=handled.word)
        return handled

    def postpone(self, task: Task) -> Handled:
        """No time is left for it: queue it again, unchanged, a little later."""
        return self._safely(task, self._mending.postpone)

    def _safely(self, task: Task, do: Callable[[Task], Handled]) -> Handled:
        """Whatever fails beside the run itself, database or queue, leaves the message as it was."""
        try:
            return do(task)
        except PondctlError as error:
            _log.warning("message kept", error=error.message)
            return Handled(task, "unavailable", delete=False, back_in_seconds=UNAVAILABLE_SECONDS)

    def _read(self, received: ReceivedMessage) -> Task:
        try:
            parsed = parse_any(received.attributes, received.body)
        except MessageError as error:
            delivery = delivery_of(self._queue_name, received, None)
            return Task(delivery, Route(Way.DEAD, error.message, error.code))
        if isinstance(parsed, CheckMessage):
            return Task(delivery_of(self._queue_name, received, parsed), Route(Way.SYNC))
        return Task(delivery_of(self._queue_name, received, None), Route(Way.HINT), parsed)

    def _facts(self, unit: Unit, checks: Sequence[Delivery]) -> _Facts:
        """What is settled needs the header alone, so that a queue full of it is worked off in no time."""
        bulk_changes = unit.open_work.find({d.message.bulk_change_id for d in checks if d.message})
        settled = {known.bulk_change.id for known in bulk_changes.values() if known.is_settled}
        unsettled = [d for d in checks if d.message and d.message.bulk_change_id not in settled]
        others = {d.message.bulk_change_id for d in unsettled if d.message and not d.ours}
        keys = {d.key for d in unsettled} | {d.key for d in checks if d.ours}
        return _Facts(
            bulk_changes,
            unit.deliveries.find(keys) if keys else {},
            unit.deliveries.coming(self._queue_name, others) if others else {},
            unit.now() if unsettled else None,
        )

    def _decide(self, task: Task, facts: _Facts) -> Task:
        delivery = task.delivery
        message = delivery.message
        if message is None:
            return task
        known = facts.about(delivery.key, message.bulk_change_id)
        found = route(message, known, self._rules, sent_at=delivery.received.sent_at, ours=delivery.ours)
        booked = known.message is not None and not known.message.done
        return Task(delivery, found, None, facts.now, booked)

    def _do(self, task: Task, stop: Stop) -> Handled:
        match task.route.way:
            case Way.WORKED_OFF:
                self.forget([task])
                return Handled(task, "worked_off")
            case Way.NOT_DUE:
                return self._mending.wait(task)
            case Way.DEAD:
                return self._mending.bury(task, task.route.category, task.route.reason)
            case Way.FOREIGN:
                return self._mending.pass_on(task)
        return self._run(task, stop)

    def _run(self, task: Task, stop: Stop) -> Handled:
        report = RunLog()
        try:
            self._runs[task.route.way](task, stop, report)
        except Exception as error:
            return self._mending.mend(task, error)
        return Handled(task, "run", dead=report.exhausted)
