"""The report of a run that nobody watches: what became of the devices, as one event and a few facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Outcome, RunResult
from pondctl.telemetry.logger import Logger

_log = Logger()


class RunLog:
    """Listens to one run. `exhausted`: devices were given up, so the message became a dead letter."""

    def __init__(self) -> None:
        self.run_id: str | None = None
        self.result: RunResult | None = None
        self.counts: Counter[Outcome] = Counter()
        self.exhausted = False

    def run(self, run_id: str, *, bulk_change_id: int | None, dry_run: bool, total: int | None) -> None:
        """The run has begun."""
        self.run_id = run_id
        _log.info("run begun", run_id=run_id, bulk_change_id=bulk_change_id, devices=total)

    def phase(self, text: str, total: int | None) -> None:
        """Nobody looks."""

    def advance(self, steps: int) -> None:
        """Nobody looks."""

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """Count them."""
        self.counts.update(outcome.outcome for outcome in outcomes)
        self.exhausted |= any(o.category is Category.RETRIES_EXHAUSTED for o in outcomes)

    def finish(self, result: RunResult) -> None:
        """The run went to its end."""
        self.result = result
        retry = result.retry
        _log.info(
            "run ended",
            run_id=result.run_id,
            bulk_change_id=result.bulk_change_id,
            status=result.status,
            counts={str(outcome): count for outcome, count in result.counts.items()},
            retry_number=retry.retry_number if retry else None,
            retry_in_seconds=retry.delay_seconds if retry else None,
        )
