"""Claims devices for a run: one run at a time works on one, and a dead run's claim is taken over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pondctl.db.rate_plans import Booked
from pondctl.db.records import RunRecord
from pondctl.db.runs import RUNNING
from pondctl.db.step_records import DeviceLock, NewClaim, NewWrite, StepKey, StepKind, Subject
from pondctl.db.unit import Unit
from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Operation, Outcome
from pondctl.services.auditing.trail import Trail
from pondctl.services.lifecycle.instructions import Claimed
from pondctl.services.lifecycle.request import Work
from pondctl.services.running.process import is_alive, this_host


@dataclass(frozen=True, slots=True)
class Providers:
    """Whose row a device's packages get outside a bulk change, and who may be touched."""

    given: int | None = None
    fallback: int = 0
    allowed: frozenset[int] = frozenset()

    def refuses(self, service_provider_id: int) -> bool:
        """Whether `access.service_provider_ids` keeps the hands off."""
        return bool(self.allowed and service_provider_id and service_provider_id not in self.allowed)


@dataclass(slots=True)
class Begun:
    """Which devices are claimed, and why the others are not; and which writes must not be sent."""

    claimed: list[tuple[Work, NewClaim, Claimed]] = field(default_factory=list)
    refused: list[tuple[Work, NewClaim, DeviceOutcome]] = field(default_factory=list)
    barred: dict[StepKey, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claiming:
    """How the devices of one run are claimed."""

    run_id: str
    operation: Operation
    distributor_id: int
    bulk_change_id: int | None
    providers: Providers
    trail: Trail

    def claim(self, unit: Unit, works: Sequence[Work], keys: Sequence[StepKey]) -> Begun:
        """Claim what is free. What a dead run holds is free; its unresolved writes come with the device."""
        booked = unit.rate_plans.booked(work.iccid for work in works)
        claims = [*self._new_claims(booked, works, keys)]
        pairs = [*zip(works, claims, strict=True)]
        wanted = [claim for work, claim in pairs if not work.refusal and not self._is_foreign(claim)]
        held = unit.claims.claim(wanted)
        missing = [claim for claim in wanted if claim.key not in held]
        if missing and self._free(unit, [claim.claim for claim in missing]):
            held |= unit.claims.claim(missing)
        reasons = self._reasons(unit, [claim for claim in claims if claim.key not in held])
        known = inherited(unit, self.run_id, [c.subject.iccid for c in claims if c.key in held], booked)
        begun = Begun()
        for work, claim in pairs:
            if claim.key in held:
                begun.claimed.append((work, claim, known[work.iccid]))
            else:
                category, reason = work.refusal or (Category.GUARDED, reasons[claim.key])
                outcome = DeviceOutcome(work.iccid, Outcome.SKIPPED, category, detail=reason)
                begun.refused.append((work, claim, outcome))
        return begun

    def _new_claims(
        self, booked: Mapping[str, Booked], works: Sequence[Work], keys: Sequence[StepKey]
    ) -> Iterator[NewClaim]:
        given, fallback = self.providers.given, self.providers.fallback
        for work, key in zip(works, keys, strict=True):
            newest = booked[work.iccid].service_provider_id if work.iccid in booked else fallback
            provider = given if given is not None else newest
            row = work.device_change_ids[0] if work.device_change_ids else None
            subject = Subject(str(self.operation), work.iccid, provider, self.bulk_change_id, row)
            name = f"pond:{self.distributor_id}:{work.iccid}"
            yield NewClaim(key, name, subject, refuse_locked=self.operation is Operation.TERMINATE)

    def _is_foreign(self, claim: NewClaim) -> bool:
        return self.providers.refuses(claim.subject.service_provider_id)

    def _free(self, unit: Unit, names: Sequence[str]) -> bool:
        """Take over the claims of runs that are dead; whether there were any."""
        holders = {key.run_id for key in unit.claims.holders(names).values()} - {self.run_id}
        if not holders:
            return False
        dead = [run for run in map(unit.runs.get, sorted(holders)) if is_over(run)]
        taken = [run for run in dead if unit.claims.take_over(run)]
        for run in taken:
            if run.state == RUNNING:
                self.trail.seal(unit, run.run_id)
        return bool(taken)

    def _reasons(self, unit: Unit, claims: Sequence[NewClaim]) -> dict[StepKey, str]:
        if not claims:
            return {}
        holders = unit.claims.holders(claim.claim for claim in claims)
        locks = unit.locks.find(claim.subject.iccid for claim in claims)
        reasons: dict[StepKey, str] = {}
        for claim in claims:
            lock, holder = locks.get(claim.subject.iccid), holders.get(claim.claim)
            if self._is_foreign(claim):
                provider = claim.subject.service_provider_id
                reasons[claim.key] = f"service provider {provider} is not in access.service_provider_ids"
            elif holder is not None:
                run_id = holder.run_id
                reasons[claim.key] = f"run {run_id} is at work on it: `pondctl runs show {run_id}`"
            else:
                reasons[claim.key] = _words(lock) if lock else "not free"
        return reasons


def barred(unit: Unit, writes: Sequence[NewWrite]) -> dict[StepKey, str]:
    """The writes that would end a package of a device which was locked after it was claimed, and why."""
    ends = [write for write in writes if write.kind is StepKind.TERMINATE_PACKAGE]
    locks = unit.locks.find({write.subject.iccid for write in ends})
    return {w.key: _words(locks[w.subject.iccid]) for w in ends if w.subject.iccid in locks}


def _words(lock: DeviceLock) -> str:
    return f"locked by {lock.locked_by}: {lock.reason}"


def inherited(
    unit: Unit, run_id: str, iccids: Sequence[str], booked: Mapping[str, Booked]
) -> dict[str, Claimed]:
    """What the database says of devices that this run has claimed."""
    unit.steps.mark_cut(run_id, iccids)
    return known_of(unit, iccids, booked)


def known_of(unit: Unit, iccids: Sequence[str], booked: Mapping[str, Booked]) -> dict[str, Claimed]:
    """What the database says of devices; only read."""
    locks = unit.locks.find(iccids)
    unresolved = unit.steps.unresolved(iccids)
    return {
        iccid: Claimed(
            tuple(write for write in unresolved if write.iccid == iccid),
            locks[iccid].reason if iccid in locks else None,
            booked[iccid].active if iccid in booked else frozenset(),
        )
        for iccid in iccids
    }


def is_over(run: RunRecord) -> bool:
    """It has ended, its lease is over in database time, or it was a process of this host that is gone."""
    if run.state != RUNNING or run.stale:
        return True
    return run.host_key == this_host() and not is_alive(run.pid, run.process_started)
