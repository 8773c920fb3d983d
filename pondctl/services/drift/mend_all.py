"""Goes through what was found and mends it, a batch at a time, while the run holds its lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pondctl.db.scratch_findings import StoredFinding
from pondctl.db.unit import Unit
from pondctl.services.auditing.trail import Trail
from pondctl.services.drift.carrier import CarrierMends
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import BULK_KINDS, Drift, Kind, Mender
from pondctl.services.drift.look import Sides
from pondctl.services.drift.mends import BulkMends, DeviceMends, Mend, Results
from pondctl.services.queueing.outbox import Outbox
from pondctl.services.running.run import Run

# More discards than this are confirmed by name on a protected profile.
MANY: Final = 10
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class MendAll:
    """`reviewed`: a plan says what is done, so POND may be written to. `may_discard`: any number."""

    comparison: Comparison
    run: Run
    trail: Trail
    sides: Sides
    outbox: Outbox | None
    reviewed: bool
    may_discard: bool

    def mend(self) -> None:
        """Rows first, then POND, then headers: what the first come to may make the rest unnecessary."""
        c = self.comparison
        c.report.phase("mending", c.findings.count([Mender.APPLY]))
        for kinds, mend in DeviceMends(self.run).in_order():
            self._go_through(kinds, mend)
        if self.sides.pond is not None and not c.stop.is_set():
            with c.part():
                CarrierMends(
                    c, self.sides.pond, self.run, self.trail, self.sides.limits, self.reviewed
                ).mend()
        counts = c.findings.counts()
        checks = sum(counts[kind] for kind in BULK_KINDS)
        bulk_changes = BulkMends(self.run, self.sides.queue_name, checks)
        self._go_through(BULK_KINDS, bulk_changes.mend)
        if self.may_discard or counts[Kind.DEAD_LETTER_RIGHT] <= MANY:
            self._go_through((Kind.DEAD_LETTER_RIGHT,), bulk_changes.discard)
        if self.outbox is not None and checks:
            self.outbox.flush()

    def _go_through(self, kinds: Sequence[Kind], mend: Mend) -> None:
        c = self.comparison
        after = 0
        while not c.stop.is_set() and (page := c.findings.of_kinds(kinds, after, _BATCH)):
            after = page[-1].seq
            batch = [(stored, drift) for stored in page if (drift := _to_mend(stored)) is not None]
            if not batch:
                continue
            results = self._write(mend, [drift for _, drift in batch])
            decided = zip((stored.seq for stored, _ in batch), results, strict=True)
            c.findings.decide(list(decided))
            c.report.advance(len(batch))

    def _write(self, mend: Mend, drifts: Sequence[Drift]) -> Results:
        def write(unit: Unit) -> Results:
            self.run.fence(unit)
            return mend(unit, drifts)

        return self.comparison.database.write(write)


def _to_mend(stored: StoredFinding) -> Drift | None:
    drift = Drift.from_text(stored.text)
    return drift if drift.mender is Mender.APPLY and stored.result is None else None
