"""Drives what is mended at POND through the journal: claimed, intent first, outcome after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from pondctl.clients.pond import PondClient
from pondctl.db.unit import Unit
from pondctl.models import DeviceOutcome, Operation, Outcome, RunResult
from pondctl.services.auditing.trail import Trail
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import CARRIER_KINDS, Drift, Kind
from pondctl.services.drift.steps import ReviewedEnd, end_reviewed, read_back
from pondctl.services.lifecycle.brake import Brake
from pondctl.services.lifecycle.claiming import Claiming, Providers
from pondctl.services.lifecycle.engine import Engine
from pondctl.services.lifecycle.instructions import Claimed, Ended, Steps
from pondctl.services.lifecycle.journal import Journal
from pondctl.services.lifecycle.request import Work
from pondctl.services.running.run import Run

_GOOD: Final = (Outcome.DONE, Outcome.UNCHANGED)


@dataclass(frozen=True, slots=True)
class CarrierLimits:
    """The settings that hold mends at POND back."""

    distributor_id: int = 0
    fallback_provider: int = 0
    allowed_providers: frozenset[int] = frozenset()
    settle_seconds: float = 30.0
    max_error_rate: float = 0.05
    max_replacements: int = 10_000
    write_enabled: bool = True


@dataclass(frozen=True, slots=True)
class CarrierMends:
    """Works on what was found; a device is worked on once, whatever was found about it.

    Not `reviewed`: lost writes are read back, and nothing is sent.
    """

    comparison: Comparison
    pond: PondClient
    run: Run
    trail: Trail
    limits: CarrierLimits
    reviewed: bool

    def mend(self) -> None:
        """Raises what ended it early; what was decided until then is saved."""
        c = self.comparison
        total = sum(1 for _ in c.findings.devices(self._kinds))
        if not total:
            return
        c.report.phase("mending at POND", total)
        ends = self.reviewed and next(c.findings.devices(CARRIER_KINDS), None) is not None
        # A termination refuses locked devices, and does so in the statement that claims them.
        operation = Operation.TERMINATE if ends else Operation.SYNC
        limits = self.limits
        providers = Providers(None, limits.fallback_provider, limits.allowed_providers)
        run_id, distributor_id = self.run.run_id, limits.distributor_id
        claiming = Claiming(run_id, operation, distributor_id, None, providers, self.trail)
        engine = Engine(
            self.pond,
            Journal(c.database, c.stop, claiming, self.run.chain),
            self._begin,
            # What stays unknown stops nothing where nothing is sent.
            Brake(total, limits.max_error_rate if ends else 1.0),
            _Decisions(c, self._kinds),
            workers=c.workers,
            stop=c.stop,
        )
        engine.run(Work(iccid) for iccid in c.findings.devices(self._kinds))

    @property
    def _kinds(self) -> Sequence[Kind]:
        return (Kind.OPEN_INTENT, *CARRIER_KINDS) if self.reviewed else (Kind.OPEN_INTENT,)

    def _begin(self, work: Work, known: Claimed) -> Steps[Ended]:
        found = self.comparison.findings.about(work.iccid, CARRIER_KINDS) if self.reviewed else []
        reviewed = [_reviewed(Drift.from_text(each.text)) for each in found]
        return _steps(work.iccid, reviewed, known, self.limits.settle_seconds)


def _steps(
    iccid: str, reviewed: Sequence[ReviewedEnd], known: Claimed, settle_seconds: float
) -> Steps[Ended]:
    ended = yield from read_back(iccid, known, settle_seconds)
    if not reviewed or ended.outcome.outcome not in _GOOD:
        return ended
    return (yield from end_reviewed(iccid, reviewed, replace(known, unresolved=()), settle_seconds))


def _reviewed(drift: Drift) -> ReviewedEnd:
    seen = tuple((package_id, status) for package_id, status in drift.fix["seen"])
    return ReviewedEnd(tuple(drift.fix["end"]), seen, alone=drift.kind is Kind.TWO_ACTIVE_PACKAGES)


class _Decisions:
    """Listens to the engine, and keeps with each finding of these kinds what became of it."""

    def __init__(self, comparison: Comparison, kinds: Sequence[Kind]) -> None:
        self._comparison = comparison
        self._kinds = kinds
        self.counts: Counter[Outcome] = Counter()

    def run(self, run_id: str, *, bulk_change_id: int | None, dry_run: bool, total: int | None) -> None:
        """The run is known already."""

    def phase(self, text: str, total: int | None) -> None:
        """Another kind of work begins."""
        self._comparison.report.phase(text, total)

    def advance(self, steps: int) -> None:
        """So many devices are decided."""
        self._comparison.report.advance(steps)

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """What the engine has committed."""
        c = self._comparison
        iccids = [outcome.iccid for outcome in outcomes]
        open_steps = c.database.read(lambda unit: _open_steps(unit, iccids))
        results = chain.from_iterable(self._results(outcome, open_steps) for outcome in outcomes)
        c.findings.decide(list(results))
        c.report.advance(len(outcomes))

    def finish(self, result: RunResult) -> None:
        """The whole run goes on."""

    def _results(self, outcome: DeviceOutcome, open_steps: set[str]) -> Iterator[tuple[int, str]]:
        for stored in self._comparison.findings.about(outcome.iccid, self._kinds):
            drift = Drift.from_text(stored.text)
            if drift.kind is Kind.OPEN_INTENT:
                good = drift.fix["step"] not in open_steps
            else:
                good = outcome.outcome in _GOOD
            yield stored.seq, f"done: {drift.mend}" if good else f"left: {outcome.detail}"


def _open_steps(unit: Unit, iccids: Sequence[str]) -> set[str]:
    return {str(write.key) for write in unit.steps.unresolved(iccids)}
