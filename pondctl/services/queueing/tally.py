"""What a worker is asked to do, and what it has done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pondctl.errors import ExitCode
from pondctl.services.queueing.tasks import Handled
from pondctl.telemetry import metrics


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`patience_seconds`: so long without the queue or the database, and the worker ends with 7."""

    once: bool = False
    max_messages: int | None = None
    concurrency: int = 4
    max_runtime_seconds: float | None = None
    poll_seconds: int = 5
    visibility_seconds: int = 90
    patience_seconds: float = 60


@dataclass(slots=True)
class Tally:
    """What a worker has done so far; `words` counts messages by what became of them."""

    received: int = 0
    dead: int = 0
    words: Counter[str] = field(default_factory=Counter)

    def count(self, handled: Handled) -> None:
        """One more message."""
        self.words[handled.word] += 1
        metrics.count("pondctl_messages_total", became=handled.word)
        self.dead += handled.dead

    def as_record(self) -> dict[str, object]:
        """For the reader, at the end."""
        status = "partial" if self.dead else "success"
        counts = {"received": self.received, **self.words, "dead_letters": self.dead}
        return {"command": "worker", "status": status, **counts}

    @property
    def exit_code(self) -> ExitCode:
        """A dead letter needs a person."""
        return ExitCode.PARTIAL if self.dead else ExitCode.OK
