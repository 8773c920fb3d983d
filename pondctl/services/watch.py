"""Watch a bulk change until nothing is to come: it only looks, and only at the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pondctl.db.unit import Unit
from pondctl.errors import ExitCode, InterruptedRunError, TerminatedRunError
from pondctl.models import Outcome, Stop
from pondctl.services._standing import Standing, outcomes_of, waits_for
from pondctl.services.bulk import BulkSite, standings

# Counting the rows of a large bulk change takes a while: it is done for a tenth of the time at most.
_PATIENCE = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """A look at a bulk change, in database time. `timed_out`: the last one, and it is not settled."""

    standing: Standing
    counts: dict[str, int]
    seen: datetime
    timed_out: bool = False

    @property
    def gist(self) -> object:
        """What makes two looks different; the time until the next check is due does not."""
        standing = self.standing
        run, check, letter = standing.run, standing.check, standing.letter
        known = (run and (run.run_id, run.stale), check and check.retry_number, letter and letter.id)
        return standing.summary.bulk_change.status, self.counts, known

    @property
    def exit_code(self) -> ExitCode:
        """What the bulk change came to."""
        if not self.standing.is_settled:
            return ExitCode.UNKNOWN if self.counts.get(Outcome.UNKNOWN) else ExitCode.WAITING
        return ExitCode.PARTIAL if self.standing.summary.with_errors else ExitCode.OK

    def as_record(self) -> dict[str, object]:
        """For the reader."""
        summary, run, check = self.standing.summary, self.standing.run, self.standing.check
        return {
            "at": self.seen,
            "id": str(summary.bulk_change.id),
            "status": summary.bulk_change.status,
            "devices": summary.devices,
            "settled": summary.settled,
            "with_errors": summary.with_errors,
            "counts": self.counts,
            "run": run.run_id if run else None,
            "next_check": check.retry_number if check else None,
            "waits_for": waits_for(self.standing),
            "over": self.standing.is_settled,
            "timed_out": self.timed_out,
        }


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks every `interval_seconds`, for at most `timeout_seconds` (None: as long as it takes)."""

    site: BulkSite
    interval_seconds: float
    timeout_seconds: float | None
    stop: Stop

    def frames(self, bulk_change_id: int) -> Iterator[Frame]:
        """One look after the other; the last one is settled or timed out. Raises when told to stop."""
        deadline = None if self.timeout_seconds is None else time.monotonic() + self.timeout_seconds
        while True:
            began = time.monotonic()
            frame = self.site.database.read(lambda unit: _look(unit, bulk_change_id))
            now = time.monotonic()
            if not frame.standing.is_settled and deadline is not None and now >= deadline:
                yield Frame(frame.standing, frame.counts, frame.seen, timed_out=True)
                return
            yield frame
            if frame.standing.is_settled:
                return
            pause = max(self.interval_seconds, _PATIENCE * (now - began))
            self.stop.wait(pause if deadline is None else min(pause, max(0.0, deadline - now)))
            self._raise_if_stopped(bulk_change_id)

    def _raise_if_stopped(self, bulk_change_id: int) -> None:
        if self.stop.is_set():
            kind = TerminatedRunError if self.stop.why == "sigterm" else InterruptedRunError
            raise kind("stopped watching; the bulk change goes on", hint=f"pondctl watch {bulk_change_id}")


def _look(unit: Unit, bulk_change_id: int) -> Frame:
    [standing] = standings(unit, [unit.bulk_changes.summary(bulk_change_id)])
    counts = outcomes_of(unit.row_counts.by_state(bulk_change_id), standing.unresolved)
    return Frame(standing, counts, unit.now())
