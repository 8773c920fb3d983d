"""Messages about one bulk change take turns in a worker: the later ones see what the first came to."""

from __future__ import annotations

from pondctl.services.queueing.tasks import Task


class Turns:
    """Which bulk changes are at work here, and which messages wait for them."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Task]] = {}

    def begin(self, task: Task) -> bool:
        """Whether the task can begin; else it waits, and comes out of `end`."""
        bulk_change_id = _subject(task)
        if bulk_change_id is None:
            return True
        if bulk_change_id in self._waiting:
            self._waiting[bulk_change_id].append(task)
            return False
        self._waiting[bulk_change_id] = []
        return True

    def end(self, task: Task) -> list[Task]:
        """The task has ended; returns those that waited for it."""
        bulk_change_id = _subject(task)
        return [] if bulk_change_id is None else self._waiting.pop(bulk_change_id, [])


def _subject(task: Task) -> int | None:
    message = task.delivery.message
    return message.bulk_change_id if message is not None and task.is_run else None
