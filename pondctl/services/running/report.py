"""How a service tells what it is doing, without knowing who prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pondctl.models import DeviceOutcome, RunResult


class Report(Protocol):
    """A listener of one run. All calls come from the main thread."""

    def run(self, run_id: str, *, bulk_change_id: int | None, dry_run: bool, total: int | None) -> None:
        """The run has begun over `total` device changes (None: not known)."""

    def phase(self, text: str, total: int | None) -> None:
        """Another kind of work begins (reading the account, asking devices) of `total` steps."""

    def advance(self, steps: int) -> None:
        """So many steps of the phase are over."""

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """These devices are decided, and what they changed is committed."""

    def finish(self, result: RunResult) -> None:
        """The run is over."""
