"""What one transaction of a life-cycle run commits: outcomes of what was sent, intents of what will be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pondctl.clients.pond_models import Package
from pondctl.db.observations import Seen
from pondctl.db.records import ChangeLogEntry
from pondctl.db.step_records import (
    CLAIM_RELEASED,
    ClaimEnd,
    NewClaim,
    NewWrite,
    RatePlanRow,
    Subject,
    WriteEnd,
)
from pondctl.db.unit import Unit
from pondctl.errors import Category
from pondctl.models import Carrier, DeviceOutcome, Outcome
from pondctl.services.drift.pond_seen import pond_state
from pondctl.services.lifecycle.instructions import Ended, Write
from pondctl.services.lifecycle.on_record import answer_draft, change_draft, intent_draft
from pondctl.services.lifecycle.step_log import outcome_entry, shown, step_entry
from pondctl.services.syncing.judge import status_details
from pondctl.telemetry.audit import Draft

_GOOD = (Outcome.DONE, Outcome.UNCHANGED)
_PERMANENT = (Outcome.FAILED, Outcome.SKIPPED)


@dataclass(slots=True)
class Turn:
    """Collected by the engine, then applied as a whole; applying can be redone."""

    run_id: str
    intents: list[NewWrite] = field(default_factory=list)
    write_ends: list[WriteEnd] = field(default_factory=list)
    claim_ends: list[ClaimEnd] = field(default_factory=list)
    outcomes: list[DeviceOutcome] = field(default_factory=list)
    packages: dict[str, list[RatePlanRow]] = field(default_factory=dict)
    log: list[ChangeLogEntry] = field(default_factory=list)
    ends_on_record: list[Draft] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.intents or self.write_ends or self.claim_ends or self.outcomes)

    def write_ended(self, subject: Subject, write: Write | None, end: WriteEnd) -> None:
        """A write has its answer, or (no `write`) one whose answer was lost was read back."""
        self.write_ends.append(end)
        self.ends_on_record.append(answer_draft(subject, end))
        entry = step_entry(subject, write, end)
        self.log += [entry] if entry else []

    def device_ended(self, claim: NewClaim, ended: Ended, rows: Sequence[int], *, held: bool = True) -> None:
        """A device is decided; each of its `rows` gets the outcome. Not `held`: it was never claimed."""
        outcome = ended.outcome
        self.outcomes += [outcome._replace(device_change_id=row) for row in rows] or [outcome]
        self._log_outcomes(claim.subject, rows, outcome)
        if not held:
            return
        packages = {"before": shown(ended.before), "after": shown(ended.after)}
        category = None if outcome.category is None else str(outcome.category)
        self.claim_ends.append(
            ClaimEnd(claim.key, claim.claim, str(outcome.outcome), packages, outcome.detail, category)
        )
        if ended.before is not None and ended.before != ended.after:
            self.ends_on_record.append(change_draft(claim.subject, outcome, packages))
        if ended.after is not None:
            provider = claim.subject.service_provider_id
            self.packages[outcome.iccid] = [_plan_row(package, provider) for package in ended.after]

    def released(self, claim: NewClaim) -> None:
        """A device was begun and is not decided: the run stops."""
        self.claim_ends.append(ClaimEnd(claim.key, claim.claim, CLAIM_RELEASED))

    def audit(self) -> list[Draft]:
        """What the audit trail says of this turn: what became of writes, then what is sent next."""
        return [*self.ends_on_record, *map(intent_draft, self.intents)]

    def apply(self, unit: Unit) -> None:
        """Write everything."""
        unit.steps.close(self.write_ends)
        unit.steps.add_intents(self.intents)
        unit.claims.give_back(self.claim_ends)
        unit.outcomes.add(self.run_id, [o for o in self.outcomes if o.outcome not in _GOOD])
        if self.packages:
            unit.rate_plans.save(self.packages)
            words = {iccid: pond_state(row.status for row in rows) for iccid, rows in self.packages.items()}
            seen = [Seen(iccid, word) for iccid, word in words.items()]
            unit.observations.add_changes(Carrier.POND, seen, self.run_id)
        _settle_rows(unit, self.outcomes)
        if self.log:
            unit.change_log.add(self.log)

    def _log_outcomes(self, subject: Subject, rows: Sequence[int], outcome: DeviceOutcome) -> None:
        if subject.bulk_change_id is not None:
            self.log += [
                outcome_entry(subject, self.run_id, outcome._replace(device_change_id=row)) for row in rows
            ]


def _plan_row(package: Package, service_provider_id: int) -> RatePlanRow:
    return RatePlanRow(
        iccid=package.iccid,
        package_id=package.package_id,
        package_type_id=package.package_type_id,
        status=package.carrier_status,
        data_usage_remaining_in_bytes=package.data_usage_remaining_in_bytes,
        service_provider_id=service_provider_id,
    )


def _is_open(outcome: DeviceOutcome) -> bool:
    """What was not begun can still be done; what was begun, and kept from its end, has failed."""
    kept_away = outcome.outcome is Outcome.SKIPPED and outcome.category is Category.GUARDED
    return kept_away or outcome.category is Category.CANCELLED


def _settle_rows(unit: Unit, outcomes: Iterable[DeviceOutcome]) -> None:
    """Rows of a bulk change: done and refused ones are settled, the others stay open and say why."""
    done: list[int] = []
    failed: list[tuple[int, str]] = []
    noted: list[tuple[int, str]] = []
    for outcome in outcomes:
        row = outcome.device_change_id
        if row is None:
            continue
        if outcome.outcome in _GOOD:
            done.append(row)
        elif outcome.outcome in _PERMANENT and not _is_open(outcome):
            failed.append((row, status_details(outcome)))
        else:
            noted.append((row, status_details(outcome)))
    if done:
        unit.device_changes.settle_done(done)
    if failed:
        unit.device_changes.settle_failed(failed, only_without_msisdn=False)
    if noted:
        unit.device_changes.note_state(noted)
