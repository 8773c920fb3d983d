"""What is done with a message that no run works off: copied, buried, passed on, or given back."""

from __future__ import annotations

from pondctl.clients.queue import OutgoingMessage, Queue
from pondctl.db.database import Database
from pondctl.db.deliveries import KnownMessage
from pondctl.errors import PondctlError, QueueUnavailableError, SharedQueueError
from pondctl.services.queueing.deliveries import Delivery, bury, copy_later
from pondctl.services.queueing.dispatch import Route, Way
from pondctl.services.queueing.tasks import Handled, Task
from pondctl.services.queueing.trouble import BUSY_SECONDS, UNAVAILABLE_SECONDS, Remedy, remedy_for
from pondctl.telemetry.logger import Logger

_log = Logger()


class Mending:
    """`foreign` is where valid messages go that are not ours; None: the queue may hold none."""

    def __init__(self, database: Database, foreign: Queue | None) -> None:
        self._database = database
        self._foreign = foreign

    def mend(self, task: Task, error: Exception) -> Handled:
        """A run has failed: do what that means for its message."""
        return {
            Remedy.COPY: self._busy,
            Remedy.BURY: self._bury_for,
            Remedy.PASS_ON: self._pass_on_for,
            Remedy.TRY_ONCE_MORE: self._once_more,
            Remedy.QUEUED_AGAIN: self._queued_again,
            Remedy.KEEP: self._keep,
            Remedy.KEEP_AND_END: self._refused,
        }[remedy_for(error)](task, error)

    def wait(self, task: Task) -> Handled:
        """It came before its time, as a long delay comes in hops: send it on its next one."""
        message, seen_at = task.delivery.message, task.seen_at
        due = message.envelope.not_before if message else None
        left = (due - seen_at).total_seconds() if due and seen_at else 0
        return self._copy(task, "not_due", max(0, left))

    def postpone(self, task: Task) -> Handled:
        """Queue a copy for a little later."""
        return self._copy(task, "postponed", BUSY_SECONDS)

    def bury(self, task: Task, category: str, reason: str) -> Handled:
        """Make a dead letter of it."""
        self._database.write(lambda unit: bury(unit, task.delivery, category, reason))
        _log.error("dead letter", category=str(category), reason=reason)
        return Handled(task, "dead", dead=True)

    def pass_on(self, task: Task) -> Handled:
        """Send it on, and only then let it be deleted. With nowhere to send it, it is left untouched."""
        received = task.delivery.received
        if self._foreign is None:
            return Handled(task, "foreign", delete=False, ends=_shared(task.delivery, task.route.reason))
        copy = OutgoingMessage(
            received.message_id,
            received.attributes,
            received.body,
            group=received.group or received.message_id,
        )
        try:
            [sent] = self._foreign.send_batch([copy])
        except PondctlError as error:
            return Handled(task, "foreign", delete=False, ends=error)
        if sent.error is not None:
            ends = QueueUnavailableError(f"{self._foreign.name} did not take a message: {sent.error}")
            return Handled(task, "foreign", delete=False, ends=ends)
        return Handled(task, "foreign")

    def _busy(self, task: Task, error: Exception) -> Handled:
        _log.info("busy", reason=str(error))
        return self._copy(task, "busy", BUSY_SECONDS)

    def _bury_for(self, task: Task, error: Exception) -> Handled:
        return self.bury(task, getattr(error, "code", "failed"), str(error))

    def _pass_on_for(self, task: Task, error: Exception) -> Handled:
        return self.pass_on(task._replace(route=Route(Way.FOREIGN, str(error))))

    def _once_more(self, task: Task, error: Exception) -> Handled:
        """A bug. It may be the data's fault: the second time the same one is the message's last."""
        kind = type(error).__name__
        _log.error("unexpected error", error=kind, exc_info=error)
        known = self._known(task)
        if known is not None and known.error == kind:
            return self.bury(task, "failed", f"failed twice in the same way: {kind}")
        return self._copy(task, "failed", BUSY_SECONDS, error=kind)

    def _queued_again(self, task: Task, error: Exception) -> Handled:
        """The run has queued the same check again, in its last transaction, if it still could."""
        known = self._known(task)
        if known is not None and known.done:
            _log.warning("the run ended early, its check is queued again", error=str(error))
            return Handled(task, "ended_early")
        _log.warning("the run ended early, its message is kept", error=str(error))
        return Handled(task, "unavailable", delete=False, back_in_seconds=UNAVAILABLE_SECONDS)

    def _keep(self, task: Task, _error: Exception) -> Handled:
        return Handled(task, "stopped", delete=False)

    def _refused(self, task: Task, error: Exception) -> Handled:
        ends = error if isinstance(error, PondctlError) else None
        return Handled(task, "refused", delete=False, ends=ends)

    def _known(self, task: Task) -> KnownMessage | None:
        key = task.delivery.key
        return self._database.read(lambda unit: unit.deliveries.find([key])).get(key)

    def _copy(self, task: Task, word: str, seconds: float, *, error: str | None = None) -> Handled:
        self._database.write(lambda unit: copy_later(unit, task.delivery, seconds, error=error))
        return Handled(task, word)


def _shared(delivery: Delivery, reason: str) -> SharedQueueError:
    """Why a worker stops at a message of somebody else's."""
    message = delivery.message
    about = f"about bulk change {message.bulk_change_id} " if message else ""
    return SharedQueueError(
        f"the queue is shared: a message {about}is not for this worker: {reason}",
        hint="it was left untouched; set queue.foreign_url to where such messages go, "
        "or give pondctl a queue of its own",
    )
