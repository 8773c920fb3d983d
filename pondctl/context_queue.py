"""What a command works with where the queue is concerned; each part is built on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pondctl.models import EMBEDDED_QUEUE

if TYPE_CHECKING:
    from pondctl.clients.queue import Queue
    from pondctl.clients.sqs import SqsQueue
    from pondctl.context import AppContext
    from pondctl.services._dispatch import Rules
    from pondctl.services._forgotten import Forgotten
    from pondctl.services._handling import Handling
    from pondctl.services._outbox import Outbox

# Polls, deletes and renewals of one worker go on at the same time.
_CONNECTIONS = 32


class QueueContext:
    """The queue of the settings, the outbox before it, and what is done with its messages."""

    def __init__(self, app: AppContext) -> None:
        self._app = app

    @cached_property
    def queue(self) -> Queue:
        """SQS, or the embedded queue."""
        if self._app.queue_name != EMBEDDED_QUEUE:
            return self._sqs(self._app.queue_name)
        from pondctl.services._embedded_queue import EmbeddedQueue

        return EmbeddedQueue(self._app.database, self._app.stop)

    @cached_property
    def foreign(self) -> Queue | None:
        """Where messages go that are not ours."""
        url: str = self._app.settings.queue.foreign_url
        return self._sqs(url) if url else None

    @cached_property
    def dead_letters(self) -> Queue | None:
        """The queue to which SQS itself moves what was received too often."""
        url: str = self._app.settings.queue.dead_letter_url
        return self._sqs(url) if url else None

    @cached_property
    def outbox(self) -> Outbox | None:
        """The way to SQS; the embedded queue is its own outbox."""
        if self._app.queue_name == EMBEDDED_QUEUE:
            return None
        from pondctl.services._outbox import Outbox

        return Outbox(self._app.database, self.queue, self._app.queue_name)

    @cached_property
    def rules(self) -> Rules:
        """Whose messages are taken."""
        from pondctl.services._dispatch import Rules

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
        from pondctl.services._forgotten import Forgotten

        quiet = self._app.settings.queue.pending_check_seconds
        return Forgotten(self._app.database, self.rules, self._app.queue_name, quiet)

    def handling(self, workers: int) -> Handling:
        """What is done with a message; `workers` devices at once in each run."""
        from pondctl.services._dispatch import Way
        from pondctl.services._handling import Handling
        from pondctl.services._message_runs import syncing

        runs = {Way.SYNC: syncing(lambda: self._app.sync_bulk, workers)}
        return Handling(
            self._app.database, runs, self.rules, queue_name=self._app.queue_name, foreign=self.foreign
        )

    def require_reachable(self) -> None:
        """Ask each queue and the database for an answer; raises before anything was received."""
        self._app.database.read(lambda unit: unit.now())
        for queue in (self.queue, self.foreign, self.dead_letters):
            if queue is not None:
                queue.depth()

    def chores(self, idle: bool) -> int:
        """Send what waits in the outbox; where the queue is empty, look for forgotten bulk changes.

        Returns how many messages came into the queue by that.
        """
        found = self.forgotten.queue_checks() if idle else 0
        sent = self.outbox.flush() if self.outbox is not None else 0
        return max(found, sent)

    def _sqs(self, url: str) -> SqsQueue:
        from pondctl.clients.sqs import SqsQueue

        endpoint_url: str = self._app.settings.queue.endpoint_url
        queue = SqsQueue(url, endpoint_url=endpoint_url, connections=_CONNECTIONS)
        self._app.when_closed(queue.close)
        return queue
