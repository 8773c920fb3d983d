"""Drives what is mended at POND through the journal: claimed, intent first, outcome after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pondctl.clients.pond import PondClient
from pondctl.models import DeviceOutcome, Operation, Outcome, RunResult
from pondctl.services._brake import Brake
from pondctl.services._claiming import Claiming, Providers
from pondctl.services._comparison import Comparison
from pondctl.services._drift import CARRIER_KINDS, Drift, Kind
from pondctl.services._drift_mends import MOVED
from pondctl.services._drift_steps import ReviewedEnd, end_reviewed, read_back
from pondctl.services._engine import Engine
from pondctl.services._instructions import Claimed, Ended, Steps
from pondctl.services._journal import Journal
from pondctl.services._life_request import Work

_GOOD: Final = (Outcome.DONE, Outcome.UNCHANGED)
Begin = Callable[[Work, Claimed], Steps[Ended]]


@dataclass(frozen=True, slots=True)
class CarrierMends:
    """Works on the findings of `run_id`; a device is worked on once, whatever was found about it."""

    comparison: Comparison
    pond: PondClient
    run_id: str
    distributor_id: int
    providers: Providers
    settle_seconds: float
    max_error_rate: float

    def read_back(self) -> None:
        """Close the writes whose answer was lost. A write that is still not known stays open."""

        def begin(work: Work, known: Claimed) -> Steps[Ended]:
            return read_back(work.iccid, known, self.settle_seconds)

        # The rate of what stays unknown stops nothing: reading does no harm.
        self._work((Kind.OPEN_INTENT,), Operation.SYNC, begin, max_error_rate=1.0)

    def end_packages(self) -> None:
        """End the packages of a reviewed plan. A locked device is left alone."""

        def begin(work: Work, known: Claimed) -> Steps[Ended]:
            reviewed = [_reviewed(drift) for drift in self._about(work.iccid)]
            return end_reviewed(work.iccid, reviewed, known, self.settle_seconds)

        self._work(CARRIER_KINDS, Operation.TERMINATE, begin, max_error_rate=self.max_error_rate)

    def _work(
        self, kinds: Sequence[Kind], operation: Operation, begin: Begin, *, max_error_rate: float
    ) -> None:
        c = self.comparison
        total = c.findings.count_devices(kinds)
        if not total:
            return
        c.report.phase("mending at POND", total)
        claiming = Claiming(self.run_id, operation, self.distributor_id, None, self.providers)
        decided = _Decided(c, kinds)
        engine = Engine(
            self.pond,
            Journal(c.database, c.stop, claiming, first_sequence=_FIRST[operation]),
            begin,
            Brake(total, max_error_rate),
            decided,
            workers=c.workers,
            stop=c.stop,
        )
        engine.run(Work(iccid) for iccid in c.findings.devices(kinds))

    def _about(self, iccid: str) -> Iterator[Drift]:
        for stored in self.comparison.findings.about(iccid, CARRIER_KINDS):
            yield Drift.from_text(stored.text)
