"""What a command works with where the queue is concerned; each part is built on first use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from pondctl.models import EMBEDDED_QUEUE

if TYPE_CHECKING:
    from pondctl.clients.queue import Queue
    from pondctl.clients.sqs import SqsQueue
    from pondctl.context import AppContext
    from pondctl.services.dead_letters.pull import Puller
    from pondctl.services.ingest import Ingest
    from pondctl.services.lifecycle.life_cycle import LifeCycle
    from pondctl.services.queueing.dispatch import Rules
    from pondctl.services.queueing.forgotten import Forgotten
    from pondctl.services.queueing.handling import Handling
    from pondctl.services.queueing.outbox import Outbox

# Polls, deletes and renewals of one worker go on at the same time.
_CONNECTIONS = 32


class QueueContext:
    """The queue of the settings, the outbox before it, and what is done with its messages."""

    def __init__(self, app: AppContext) -> None:
        self._app = app
        self._outboxes: dict[str, Outbox] = {}

    @cached_property
    def queue(self) -> Queue:
        """SQS, or the embedded queue."""
        if self._app.queue_name != EMBEDDED_QUEUE:
            return self._sqs(self._app.queue_name)
        from pondctl.services.queueing.embedded_queue import EmbeddedQueue

        return EmbeddedQueue(self._app.database, self._app.stop)

    @cached_property
    def foreign(self) -> Queue | None:
        """Where messages go that are not ours."""
        url: str = self._app.settings.queue.foreign_url
        return self._sqs(url) if url else None

    @cached_property
    def dead_letters(self) -> SqsQueue | None:
        """The queue to which SQS itself moves what was received too often."""
        url: str = self._app.settings.queue.dead_letter_url
        return self._sqs(url) if url else None

    @cached_property
    def outbox(self) -> Outbox | None:
        """The way to SQS; the embedded queue is its own outbox."""
        if self._app.queue_name == EMBEDDED_QUEUE:
            return None
        from pondctl.services.queueing.outbox import Outbox

        return Outbox(self._app.database, self.queue, self._app.queue_name)

    @cached_property
    def puller(self) -> Puller | None:
        """Brings that queue's messages into the inbox; None where there is no such queue."""
        if self.dead_letters is None:
            return None
        from pondctl.services.dead_letters.pull import Puller

        return Puller(self._app.database, self.dead_letters, self._app.queue_name)

    def outbox_of(self, url: str) -> Outbox:
        """The way to any SQS queue: a dead letter goes back to where it came from."""
        if url == self._app.queue_name and self.outbox is not None:
            return self.outbox
        if url not in self._outboxes:
            from pondctl.services.queueing.outbox import Outbox

            self._outboxes[url] = Outbox(self._app.database, self._sqs(url), url)
        return self._outboxes[url]

    @cached_property
    def rules(self) -> Rules:
        """Whose messages are taken."""
        from pondctl.services.queueing.dispatch import Rules

        settings = self._app.settings
        return Rules(
            thingspace=frozenset(settings.thingspace.service_provider_ids),
            pond=frozenset(settings.pond.service_provider_ids),
            allowed=frozenset(settings.access.service_provider_ids),
            require_flag=settings.queue.require_flag,
            accept_writes=settings.queue.accept_writes,
        )

    @cached_property
    def forgotten(self) -> Forgotten:
        """Finds bulk changes that nobody would look at again."""
        from pondctl.services.queueing.forgotten import Forgotten

        quiet = self._app.settings.queue.pending_check_seconds
        return Forgotten(self._app.database, self.rules, self._app.queue_name, quiet)

    @cached_property
    def ingest(self) -> Ingest:
        """Looks into carrier notifications."""
        from pondctl.services.ingest import Ingest

        app = self._app
        outbox = None if app.dry_run else self.outbox
        return Ingest(app.database, lambda: app.sync_bulk, self.rules, app.actor(), app.stop, outbox)

    def handling(self, life_cycle: Callable[[str | None], LifeCycle]) -> Handling:
        """What is done with a message. Settings that are missing for it raise now, not at the first one."""
        from pondctl.services.queueing.dispatch import Way
        from pondctl.services.queueing.handling import Handling
        from pondctl.services.queueing.message_runs import hinting, living, syncing

        app = self._app
        if app.settings.queue.accept_writes:
            life_cycle(None)
        if app.settings.thingspace.client_id or not app.settings.queue.accept_writes:
            _ = app.sync_bulk
        runs = {
            Way.SYNC: syncing(lambda: app.sync_bulk, app.workers),
            Way.LIFE_CYCLE: living(life_cycle, app.workers),
            Way.HINT: hinting(lambda: self.ingest, app.workers),
        }
        return Handling(app.database, runs, self.rules, queue_name=app.queue_name, foreign=self.foreign)

    def require_reachable(self) -> None:
        """Ask the database for an answer, and each queue for one and for the rights that a worker needs;
        raises before anything was received."""
        from pondctl.clients.sqs import SqsQueue
        from pondctl.clients.sqs_rights import CONSUME, require_rights

        self._app.database.read(lambda unit: unit.now())
        needed = (
            (self.queue, CONSUME),
            (self.foreign, ("SendMessage",)),
            (self.dead_letters, ("DeleteMessage",)),
        )
        for queue, _ in needed:
            if queue is not None:
                queue.depth()
        for queue, actions in needed:
            if isinstance(queue, SqsQueue):
                require_rights(queue, *actions)

    def chores(self, idle: bool) -> int:
        """Send what waits in the outbox; where the queue is empty, look for forgotten bulk changes.

        Returns how many messages came into the queue by that.
        """
        self._app.telemetry.tick()
        found = self.forgotten.queue_checks() if idle else 0
        sent = self.outbox.flush() if self.outbox is not None else 0
        self._dead_letter_chores()
        return max(found, sent)

    def _dead_letter_chores(self) -> None:
        """Bring in what died; send what goes back to other queues than this worker's."""
        if self.puller is not None:
            self.puller.pull_when_due()
        for url in self._app.database.read(lambda unit: unit.messages.queues_due()):
            if url not in (self._app.queue_name, EMBEDDED_QUEUE):
                self.outbox_of(url).flush()

    def _sqs(self, url: str) -> SqsQueue:
        from pondctl.clients.sqs import SqsQueue

        endpoint_url: str = self._app.settings.queue.endpoint_url
        queue = SqsQueue(url, endpoint_url=endpoint_url, connections=_CONNECTIONS)
        self._app.when_closed(queue.close)
        return queue
