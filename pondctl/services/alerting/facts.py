"""What alerts are judged by, read in one go; None where this process cannot know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pondctl.clients.tokens import TokenStore
from pondctl.config.sections import AlertSettings
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.db.vitals import SeenRun
from pondctl.services.alerting.workers import Worker, list_workers
from pondctl.services.queueing.forgotten import Forgotten

_UNSAVED: Final = "unsaved_dead_letters:"


@dataclass(frozen=True, slots=True)
class DeadQueue:
    """What lies in the dead-letter queue of SQS, and for how long it keeps a message."""

    name: str
    messages: int
    retention_seconds: float


@dataclass(frozen=True, slots=True)
class Facts:
    """`unsaved_seconds`: so long there have been messages in the dead-letter queue that nobody pulled."""

    runs: Sequence[SeenRun]
    throttled: dict[str, float]
    workers: Sequence[Worker]
    stuck: Sequence[int]
    expiring: int
    refused_logins: int | None = None
    dead_queue: DeadQueue | None = None
    unsaved_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FactReader:
    """Reads the facts. No `tokens`: ThingSpace is not configured."""

    database: Database
    forgotten: Forgotten
    thresholds: AlertSettings
    tokens: TokenStore | None

    def read(self, dead_queue: DeadQueue | None) -> Facts:
        """No `dead_queue`: it was not asked, and nothing is judged by it."""
        refused = self.tokens.load().refused if self.tokens else None

        def read(unit: Unit) -> Facts:
            return Facts(
                runs=unit.vitals.runs(),
                throttled=unit.vitals.throttled(),
                workers=list_workers(unit),
                stuck=self.forgotten.find_stuck(unit, self.thresholds.stuck_minutes * 60),
                expiring=unit.vitals.expiring_letters(self.thresholds.dead_letter_hours),
                refused_logins=refused,
                dead_queue=dead_queue,
                unsaved_seconds=_unsaved_seconds(unit, dead_queue),
            )

        return self.database.read(read)


def note_unsaved(unit: Unit, dead_queue: DeadQueue | None) -> None:
    """SQS does not tell how old a message is; so remember since when there is one."""
    if dead_queue is None:
        return
    name = _UNSAVED + dead_queue.name
    if not dead_queue.messages:
        unit.meta.remove(name)
    elif unit.meta.get(name) is None:
        unit.meta.set(name, "")


def _unsaved_seconds(unit: Unit, dead_queue: DeadQueue | None) -> float:
    if dead_queue is None or not dead_queue.messages:
        return 0.0
    return max((age for _, _, age in unit.meta.entries(_UNSAVED + dead_queue.name)), default=0.0)
