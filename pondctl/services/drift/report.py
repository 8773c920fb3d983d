"""What `reconcile` is asked to do, what it tells while it looks, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pondctl.errors import PRECEDENCE, ExitCode

COMMAND = "reconcile"


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """One command, as it was typed. Without `apply` it only looks."""

    apply: bool = False
    max_changes: int | None = None
    plan: Path | None = None
    plan_out: Path | None = None
    bulk_change_id: int | None = None
    local: bool = False
    max_runtime_seconds: float | None = None
    workers: int = 8
    confirmed: bool = False
    dry_run: bool = False

    def arguments(self) -> dict[str, object]:
        """For the run's row."""
        return {
            "apply": self.apply,
            "max_changes": self.max_changes,
            "plan": None if self.plan is None else str(self.plan),
            "bulk_change_id": self.bulk_change_id,
            "local": self.local,
        }


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """How it ended. `left`: findings that are still there; `skipped`: of a plan, what could not be done.

    Not `complete`: something could not be looked at, so that what is missing there is not known.
    """

    run_id: str
    complete: bool
    counts: Mapping[str, int]
    mended: Mapping[str, int]
    left: int
    skipped: int = 0
    applied: bool = False
    dry_run: bool = False
    hints: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """Of a run that was not cut short; a dry run that could read is 0."""
        if self.dry_run:
            return ExitCode.OK
        holds = {ExitCode.OK}
        holds |= {ExitCode.PARTIAL} if self.skipped else set()
        holds |= {ExitCode.DRIFT} if self.left else set()
        return next(code for code in PRECEDENCE if code in holds)

    @property
    def status(self) -> str:
        """The word for json output."""
        if self.skipped:
            return "partial"
        return "drift" if self.left else "success"


class DriftReport(Protocol):
    """A listener of one `reconcile`. All calls come from the main thread."""

    def run(self, run_id: str) -> None:
        """The run has begun."""

    def phase(self, text: str, total: int | None) -> None:
        """Another place is looked at, in `total` steps (None: not known)."""

    def advance(self, steps: int) -> None:
        """So many steps of the phase are over."""

    def warn(self, text: str) -> None:
        """Something a person should know, whatever is found."""

    def items(self, items: Sequence[Mapping[str, object]]) -> None:
        """Findings, with what became of each."""

    def finish(self, result: ReconcileResult) -> None:
        """The run is over, also where an error follows."""
