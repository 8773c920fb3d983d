"""One comparison under way: the scratch file, what was found, and what could not be looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pondctl.db.batches import chunks
from pondctl.db.database import Database
from pondctl.db.scratch import Scratch
from pondctl.db.scratch_findings import NewFinding, ScratchFindings
from pondctl.db.scratch_rows import ScratchRows
from pondctl.db.scratch_sims import ScratchSims
from pondctl.errors import PRECEDENCE, PondctlError, RunLostError, UnavailableError
from pondctl.models import Carrier, Stop
from pondctl.services.drift.kinds import Drift
from pondctl.services.drift.report import DriftReport
from pondctl.services.running.run import Run
from pondctl.telemetry.logger import Logger

_AT_ONCE = 500
_log = Logger()


@dataclass(slots=True)
class Comparison:
    """What the parts of a comparison share. No `run`: a dry run. `started` is database time.

    `carrier_of` knows whose a service provider is; None: nobody's of ours.
    """

    database: Database
    run: Run | None
    report: DriftReport
    stop: Stop
    started: datetime
    carrier_of: Callable[[int], Carrier | None]
    file: Scratch
    rows: ScratchRows
    sims: ScratchSims
    findings: ScratchFindings
    allowed: frozenset[int] = frozenset()
    workers: int = 8
    deadline: float | None = None
    troubles: list[PondctlError] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)
    complete: bool = True

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be looked at."""
        return self.stop.is_set() or (self.deadline is not None and time.monotonic() >= self.deadline)

    def may_touch(self, service_provider_id: int) -> bool:
        """Whether `access.service_provider_ids` lets this profile see the provider's devices."""
        return not self.allowed or service_provider_id in self.allowed

    def add(self, drifts: Iterable[Drift], *, held: bool = False) -> None:
        """Keep what was found."""
        for chunk in chunks(drifts, _AT_ONCE):
            new = [NewFinding(d.kind, d.mender, d.iccid, d.as_text(), d.as_key()) for d in chunk]
            self.findings.add(new, held=held)

    def distrust(self, reason: str, hint: str | None = None) -> None:
        """What was seen is right, but not all was seen: nothing is missing because of it."""
        self.complete = False
        self.troubles.append(UnavailableError(reason, hint=hint))
        _log.warning("incomplete", reason=reason)

    def cut_short(self, what: str) -> None:
        """`what` was not looked at to its end: the time was over, or a stop was asked for."""
        self.complete = False
        if not self.stop.is_set():
            self.distrust(f"the time was over before {what} had been read", "give --max-runtime more time")

    @contextmanager
    def part(self) -> Iterator[None]:
        """One side of the comparison: trouble with it does not keep the others from being looked at."""
        try:
            yield
        except RunLostError:
            self.complete = False
            raise
        except PondctlError as error:
            self.complete = False
            self.troubles.append(error)
            _log.warning("a part could not be looked at", reason=error.message)

    def worst_trouble(self) -> PondctlError | None:
        """What the command ends with, where something went wrong."""
        return min(self.troubles, key=lambda error: PRECEDENCE.index(error.exit_code), default=None)


@contextmanager
def comparing(
    database: Database,
    run: Run | None,
    report: DriftReport,
    stop: Stop,
    carrier_of: Callable[[int], Carrier | None],
    *,
    allowed: frozenset[int] = frozenset(),
    workers: int = 8,
    max_runtime_seconds: float | None = None,
) -> Iterator[Comparison]:
    """A comparison with a scratch file of its own, which is gone afterwards."""
    with Scratch() as file:
        yield Comparison(
            database,
            run,
            report,
            stop,
            database.read(lambda unit: unit.now()),
            carrier_of,
            file,
            ScratchRows(file.connection),
            ScratchSims(file.connection),
            ScratchFindings(file.connection),
            allowed,
            workers,
            None if max_runtime_seconds is None else time.monotonic() + max_runtime_seconds,
        )
