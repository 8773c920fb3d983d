"""Hold the host's packages against POND: SIM by SIM, the one first that was looked at longest ago."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.db.open_intents import OpenIntent
from pondctl.db.package_rows import PackageRow
from pondctl.db.scratch_sims import Sim
from pondctl.errors import Category, DeviceError
from pondctl.models import normalize_iccid
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import Drift
from pondctl.services.drift.packages import judge_intent, judge_sim, judge_unknown_sim
from pondctl.services.drift.pond_sims import gather_sims, lost_writes, read_checks
from pondctl.services.syncing.ask import ask_all

_BATCH: Final = 200
_GUARD_FROM: Final = 20
_OVER: Final = PackageStatus.TERMINATED

Listing = list[Package] | DeviceError


@dataclass(slots=True)
class PondSide:
    """Asks about as many SIMs as time allows; those with an unknown write before all others."""

    comparison: Comparison
    pond: PondClient
    distributor_id: int
    fallback_provider: int
    _intents: dict[str, list[OpenIntent]] = field(default_factory=dict)
    _tally: Counter[str] = field(default_factory=Counter)
    _since: list[datetime] = field(default_factory=list)

    def gather(self, *, everything: bool) -> None:
        """Find out which SIMs there are. Not `everything`: those alone that are known already."""
        self._intents = lost_writes(self.comparison)
        gather_sims(self.comparison, self._intents, everything=everything)

    def run(self) -> None:
        """Ask in turn."""
        c = self.comparison
        sims = c.sims.ages().sims
        if sims:
            read_checks(c)
        c.sims.line_up()
        c.report.phase("asking POND", sims)
        self._since = [c.started]
        try:
            with c.part():
                self._ask_all()
        finally:
            self._tell()

    def _turns(self) -> Iterator[str]:
        c = self.comparison
        after = 0
        while page := c.sims.next_turns(after, _BATCH):
            after = page[-1][0]
            for _, iccid in page:
                if c.is_over:
                    return
                yield iccid

    def _ask_all(self) -> None:
        c = self.comparison
        batch: dict[str, Listing] = {}
        try:
            for answer in ask_all(self._turns(), self.pond.list_packages, workers=c.workers, stop=c.stop):
                if answer is not None:
                    batch[answer.item] = answer.value
                if len(batch) >= _BATCH:
                    ready, batch = batch, {}
                    self._judge(ready)
        finally:
            if batch:
                self._judge(batch)
        if c.stop.is_set():
            c.complete = False

    def _judge(self, batch: dict[str, Listing]) -> None:
        """Read both sides of these SIMs together; one that a run works on is left for the next time."""
        c = self.comparison
        claims = [f"pond:{self.distributor_id}:{iccid}" for iccid in batch]
        since = self._since[0]
        rows, busy, now = c.database.read(
            lambda unit: (
                unit.package_rows.of(batch),
                unit.open_intents.in_work(claims, list(batch), since),
                unit.now(),
            )
        )
        # An answer of this batch may have been asked for before the last one was judged.
        self._since = [*self._since[-1:], now]
        by_device: dict[str, list[PackageRow]] = {}
        for row in rows:
            by_device.setdefault(normalize_iccid(row.iccid) or row.iccid, []).append(row)
        looks: list[tuple[str, str, int]] = []
        for iccid, sim in c.sims.find(list(batch)).items():
            if iccid in busy:
                self._tally["in_work"] += 1
            elif self._judge_one(sim, by_device.get(iccid, []), batch[iccid]):
                looks.append(_look(iccid, batch[iccid]))
        self._keep_looks(looks, now)
        c.report.advance(len(batch))

    def _judge_one(self, sim: Sim, rows: Sequence[PackageRow], listing: Listing) -> bool:
        """Whether POND gave an answer that says something."""
        c = self.comparison
        c.add(self._intent_drifts(sim.iccid, listing))
        if isinstance(listing, list):
            provider = sim.service_provider_id
            c.add(judge_sim(sim, rows, listing, self.fallback_provider if provider is None else provider))
            self._tally["checked"] += 1
            return True
        if listing.category is Category.NOT_FOUND:
            c.add(judge_unknown_sim(sim, rows), held=True)
            self._tally["unknown"] += 1
            return True
        word = "unanswered" if listing.temporary else "refused"
        self._tally[word] += listing.category is not Category.CANCELLED
        return not listing.temporary

    def _intent_drifts(self, iccid: str, listing: Listing) -> Iterator[Drift]:
        packages = listing if isinstance(listing, list) else None
        for intent in self._intents.pop(iccid, ()):
            yield judge_intent(intent, packages)

    def _keep_looks(self, looks: Sequence[tuple[str, str, int]], now: datetime) -> None:
        c = self.comparison
        c.sims.saw(looks, now)
        run, iccids = c.run, [iccid for iccid, _, _ in looks]
        if run is None or not iccids:
            return

        c.database.write(lambda unit: unit.device_checks.mark(iccids))

    def _tell(self) -> None:
        c, tally = self.comparison, self._tally
        looked_at = tally["checked"] + tally["unknown"]
        if tally["unknown"] >= _GUARD_FROM and 2 * tally["unknown"] > looked_at:
            c.findings.drop_held()
            c.distrust(
                f"POND does not know {tally['unknown']:,} of {looked_at:,} SIMs",
                "is pond.distributor_id right?",
            )
        c.findings.release()
        if tally["unanswered"]:
            c.distrust(f"POND gave no answer about {tally['unanswered']:,} SIMs")
        ages = c.sims.ages()
        now = self._since[-1]
        oldest = None if ages.oldest is None else max(0, round((now - ages.oldest).total_seconds()))
        c.extra["pond"] = {
            "sims": ages.sims,
            "checked": looked_at,
            "in_work": tally["in_work"],
            "refused": tally["refused"],
            "never_checked": ages.never,
            "oldest_check_seconds": oldest,
        }


def _look(iccid: str, listing: Listing) -> tuple[str, str, int]:
    """What is kept of a listing: the types of ACTIVE packages, and how many stand."""
    if not isinstance(listing, list):
        return iccid, "", 0
    active = [str(p.package_type_id) for p in listing if p.status is PackageStatus.ACTIVE]
    return iccid, " ".join(active), sum(p.status is not _OVER for p in listing)
