"""The journal of one life-cycle run: names its steps and commits its turns, while it holds its lease."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pondctl.db.database import Database
from pondctl.db.runs import RUNNING
from pondctl.db.step_records import StepKey
from pondctl.db.unit import Unit
from pondctl.errors import RunLostError
from pondctl.models import Stop
from pondctl.services.lifecycle.claiming import Begun, Claiming, barred
from pondctl.services.lifecycle.request import Work
from pondctl.services.lifecycle.turn import Turn
from pondctl.telemetry.audit import RunChain, end_of


class Journal:
    """Used by the main thread alone."""

    def __init__(self, database: Database, stop: Stop, claiming: Claiming, chain: RunChain) -> None:
        self.run_id = claiming.run_id
        self._chain = chain
        self._database = database
        self._stop = stop
        self._claiming = claiming
        self._sequence = 0
        self._fenced_at = _clocks()

    @property
    def lease_age(self) -> float:
        """Seconds since this thread last saw that the run still holds its lease.

        The monotonic clock stands still while a machine sleeps, its lease does not: the wall clock tells.
        """
        return max(now - then for now, then in zip(_clocks(), self._fenced_at, strict=True))

    def next_key(self) -> StepKey:
        """The name of a new step."""
        self._sequence += 1
        return StepKey(self.run_id, self._sequence)

    def new_turn(self) -> Turn:
        """An empty one."""
        return Turn(self.run_id)

    def keep_targets(self, lists: Sequence[Sequence[str]]) -> None:
        """Store which devices the run is for, so that it can be resumed."""
        first = self._sequence + 1
        self._sequence += len(lists)

        def keep(unit: Unit) -> None:
            self.fence(unit)
            unit.steps.add_targets(self.run_id, first, lists)

        self._database.write(keep)

    def commit(self, turn: Turn, works: Sequence[Work]) -> Begun:
        """Apply the turn and claim devices, in one transaction."""
        keys = [self.next_key() for _ in works]
        entries, again = self._chain.sign(turn.audit()), False
        began = _clocks()

        def write(unit: Unit) -> Begun:
            nonlocal again
            self.fence(unit)
            turn.apply(unit)
            # Redone, because a commit was not heard of: the rows may be there.
            if entries and not (again and unit.audit_rows.end_of(self.run_id) == end_of(entries)):
                unit.audit_rows.add(entries)
            again = True
            stopped = barred(unit, turn.intents)
            begun = self._claiming.claim(unit, works, keys) if works else Begun()
            begun.barred = stopped
            return begun

        begun = self._database.write(write)
        self._chain.added(entries)
        self._fenced_at = began
        return begun

    def fence(self, unit: Unit) -> None:
        """Renew the lease; raises `RunLostError` when another run has taken over.

        A run that was asked to stop still holds its lease: what is in flight is saved.
        """
        if unit.claims.renew(self.run_id, unit.key):
            return
        unit.runs.heartbeat(self.run_id, unit.key)
        if unit.runs.get(self.run_id).state != RUNNING:
            self._stop.request("lost")
            raise RunLostError(f"run {self.run_id} lost its lease: another run has taken over")
        self._stop.request("cancelled")


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()
