"""How a life-cycle run ends: its own row, and of a bulk change the header and the next check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pondctl.db.database import Database
from pondctl.db.runs import RUNNING
from pondctl.db.unit import Unit
from pondctl.errors import PondctlError, RunLostError, UnavailableError
from pondctl.models import Outcome, Retry, Stop
from pondctl.services.running.actor import raise_if_stopped
from pondctl.services.running.run import Run
from pondctl.services.syncing.end import SyncEnd
from pondctl.telemetry.logger import Logger

_log = Logger()


@dataclass(frozen=True, slots=True)
class LifeEnd:
    """Ends one run. `bulk_end`: there is a bulk change."""

    database: Database
    stop: Stop
    run_id: str
    bulk_end: SyncEnd | None

    @property
    def how_to_go_on(self) -> str:
        """The command that finishes what this run left."""
        return f"pondctl runs resume {self.run_id}"

    def raise_if_early(self, brake: str | None) -> None:
        """Raise what ended the run before every device was decided."""
        if brake is not None:
            raise UnavailableError(
                f"the run stopped by itself: {brake}",
                hint=f"look at `pondctl runs show {self.run_id}`, then `{self.how_to_go_on}`",
            )
        if self.stop.is_set():
            self._raise_if_cancelled()
        raise_if_stopped(self.stop, self.how_to_go_on)

    def raise_if_rehearsal_stopped(self) -> None:
        """A dry run that was cut short is not whole; it left nothing to resume."""
        raise_if_stopped(self.stop, "nothing was written; run it again")

    def orderly(self, run: Run, counts: Mapping[Outcome, int]) -> Retry | None:
        """Every device is decided."""
        if self.bulk_end is not None:
            return self.bulk_end.orderly(run, counts, exhausted=False)

        def end(unit: Unit) -> None:
            run.fence(unit)
            unit.runs.finish(self.run_id, "done", counts, None)

        self.database.write(end)
        return None

    def early(self, run: Run, counts: Mapping[Outcome, int], error: PondctlError) -> None:
        """The run ends with this error; what was decided until then is saved."""
        if self.bulk_end is not None and not isinstance(error, RunLostError):
            self.bulk_end.early(run, counts, error)
        state = "interrupted" if self.stop.is_set() else "failed"
        try:
            self.database.write(
                lambda unit: unit.runs.finish(self.run_id, state, counts, error.message, error.code)
            )
        except PondctlError as trouble:
            # The trouble that ended the run is the one to tell; its lease runs out by itself.
            _log.warning("the end of the run could not be recorded", error=trouble.message)

    def _raise_if_cancelled(self) -> None:
        record = self.database.read(lambda unit: unit.runs.get(self.run_id))
        if record.cancel_requested and record.state == RUNNING:
            raise RunLostError(
                f"run {self.run_id} was cancelled; what was in flight is saved", hint=self.how_to_go_on
            )
