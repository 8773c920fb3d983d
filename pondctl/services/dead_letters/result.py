"""What an action on dead letters came to: one entry for each letter, and the exit code that is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pondctl.errors import ExitCode, PondctlError

_KEPT_WARNINGS: Final = 50


class Became(StrEnum):
    """What became of one letter."""

    REQUEUED = "requeued"
    DISCARDED = "discarded"
    RESTORED = "restored"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"
    REFUSED = "refused"


_DONE: Final = (Became.REQUEUED, Became.DISCARDED, Became.RESTORED)


@dataclass(frozen=True, slots=True)
class Settled:
    """One letter. `key` and `queue` of the message that took its place; `changes`: name -> before, after."""

    id: int
    became: Became
    detail: str | None = None
    key: str | None = None
    queue: str | None = None
    changes: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether it is as it was asked for."""
        return self.became in _DONE

    def as_row(self) -> dict[str, object]:
        """For output."""
        shown = {name: list(values) for name, values in self.changes.items()} or None
        row = {"id": self.id, "outcome": str(self.became), "detail": self.detail}
        return {**row, "key": self.key, "queue": self.queue, "changes": shown}


@dataclass(slots=True)
class DeskResult:
    """`left`: letters that were not reached; `trouble` is why. `unsent`: messages still in the outbox."""

    command: str
    dry_run: bool
    letters: list[Settled] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left: int = 0
    unsent: int = 0
    trouble: PondctlError | None = None

    def warn(self, text: str) -> None:
        """Something a person should know; each is said once, and not endlessly many of them."""
        if text not in self.warnings and len(self.warnings) < _KEPT_WARNINGS:
            self.warnings.append(text)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many letters became what."""
        return Counter(str(each.became) for each in self.letters)

    @property
    def exit_code(self) -> ExitCode:
        """A dry run that could read has done what was asked for."""
        if self.trouble is not None:
            return self.trouble.exit_code
        if self.dry_run or all(each.done for each in self.letters):
            return ExitCode.OK
        return ExitCode.PARTIAL

    @property
    def status(self) -> str:
        """The word of the document."""
        if self.trouble is not None or self.left:
            return "error"
        return "partial" if self.exit_code == ExitCode.PARTIAL else "success"

    def summary(self) -> dict[str, object]:
        """Everything but the letters."""
        return {
            "command": self.command,
            "status": self.status,
            "dry_run": self.dry_run,
            "counts": dict(self.counts),
            "not_reached": self.left,
            "in_outbox": self.unsent,
        }

    def rows(self, *, not_done_only: int | None = None) -> list[dict[str, object]]:
        """The letters; for a person at most so many of those that are not as they should be."""
        if not_done_only is None:
            return [each.as_row() for each in self.letters]
        return [each.as_row() for each in self.letters if not each.done][:not_done_only]
