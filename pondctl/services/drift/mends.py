"""Mends findings in the database: a batch is one transaction, and each only while nothing has moved."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pondctl.db.dead_letters import DISCARDED, OPEN
from pondctl.db.observations import Seen
from pondctl.db.package_rows import PackageFix
from pondctl.db.records import ChangeLogEntry
from pondctl.db.row_fixes import RowFix, SeenRow
from pondctl.db.step_records import RatePlanRow
from pondctl.db.unit import Unit
from pondctl.models import BulkStatus, Carrier, DeviceOutcome, Outcome
from pondctl.services.drift.kinds import PACKAGE_KINDS, ROW_KINDS, Drift, Kind
from pondctl.services.queueing.enqueue import queue_check
from pondctl.services.running.run import Run
from pondctl.services.running.user import user_name
from pondctl.services.syncing.next_check import NextCheck

MOVED: Final = "left: it has moved since"
NOT_NEEDED: Final = "done: not needed any more"
_OPEN: Final = (BulkStatus.NEW, BulkStatus.PENDING, BulkStatus.PROCESSING)
_ENDS: Final = (BulkStatus.PROCESSED, BulkStatus.ERROR)
_CHECKS_A_SECOND: Final = 10
_LATEST_SECONDS: Final = 900

# What became of each finding of a batch, in its order.
Results = list[str]
Mend = Callable[[Unit, Sequence[Drift]], Results]


@dataclass(frozen=True, slots=True)
class DeviceMends:
    """What `--apply` does to rows of devices and of packages."""

    run: Run

    def in_order(self) -> tuple[tuple[tuple[Kind, ...], Mend], ...]:
        """Which kinds are mended how."""
        return ((ROW_KINDS, self._rows), (PACKAGE_KINDS, self._packages))

    def _rows(self, unit: Unit, drifts: Sequence[Drift]) -> Results:
        good = unit.row_fixes.settle([_row_fix(drift) for drift in drifts])
        mended = [drift for drift in drifts if drift.fix["row"] in good]
        unit.change_log.add([_entry(self.run, drift, drift.fix["row"]) for drift in mended])
        seen = [Seen(d.iccid or "", d.fix["state"], d.fix["msisdn"]) for d in mended]
        unit.observations.add_changes(str(Carrier.THINGSPACE), seen, self.run.run_id)
        self._close_finished(unit, mended)
        return [_done(drift) if drift.fix["row"] in good else MOVED for drift in drifts]

    def _close_finished(self, unit: Unit, mended: Sequence[Drift]) -> None:
        """A bulk change whose last open row was settled here is closed with it."""
        settled = {d.bulk_change_id for d in mended if d.kind is Kind.ACTIVE_NOT_SETTLED}
        ids = sorted(each for each in settled if each is not None)
        if not ids:
            return
        unsettled, leased = unit.compared_rows.unsettled_counts(ids), unit.open_intents.leased_bulk_changes()
        for bulk_change_id in ids:
            if bulk_change_id in unsettled or bulk_change_id in leased:
                continue
            if unit.bulk_changes.set_status(bulk_change_id, BulkStatus.PROCESSED, from_statuses=_OPEN):
                drift = Drift(Kind.HEADER_OPEN, bulk_change_id=bulk_change_id, mend="its last row is settled")
                unit.change_log.add([_entry(self.run, drift)])

    def _packages(self, unit: Unit, drifts: Sequence[Drift]) -> Results:
        there = [drift for drift in drifts if drift.kind is not Kind.PACKAGE_ROW_MISSING]
        missing = [drift for drift in drifts if drift.kind is Kind.PACKAGE_ROW_MISSING]
        corrected = unit.package_rows.correct([_package_fix(drift) for drift in there])
        added = unit.package_rows.add_missing([_new_package(drift) for drift in missing])
        results = []
        for drift in drifts:
            key = (drift.iccid, drift.fix.get("package"))
            ok = key in added if drift.kind is Kind.PACKAGE_ROW_MISSING else drift.fix["row"] in corrected
            results.append(_done(drift) if ok else MOVED)
        mended = [d for d, result in zip(drifts, results, strict=True) if result != MOVED]
        # There is no bulk change to log it with: the run keeps it.
        unit.outcomes.add(self.run.run_id, [_outcome(drift) for drift in mended])
        return results


@dataclass(frozen=True, slots=True)
class BulkMends:
    """What `--apply` does to headers, messages and dead letters. `checks` is how many are queued at most."""

    run: Run
    queue_name: str
    checks: int = 1
    rng: random.Random = field(default_factory=random.SystemRandom)

    def mend(self, unit: Unit, drifts: Sequence[Drift]) -> Results:
        """Put headers right, and queue what nobody would come back to."""
        ids = [drift.bulk_change_id or 0 for drift in drifts]
        unsettled, leased = unit.compared_rows.unsettled_counts(ids), unit.open_intents.leased_bulk_changes()
        now = {each.id: each.status for each in unit.bulk_changes.find(ids).values()}
        results = []
        for drift, bulk_change_id in zip(drifts, ids, strict=True):
            is_open = bulk_change_id in unsettled
            verdict = MOVED if bulk_change_id in leased else _verdict(drift, now.get(bulk_change_id), is_open)
            if verdict is None:
                self._mend_bulk_change(unit, drift, bulk_change_id)
            results.append(verdict or _done(drift))
        return results

    def _mend_bulk_change(self, unit: Unit, drift: Drift, bulk_change_id: int) -> None:
        if drift.kind is Kind.HEADER_OPEN:
            unit.bulk_changes.set_status(bulk_change_id, BulkStatus.PROCESSED, from_statuses=_OPEN)
        elif drift.kind is Kind.HEADER_CLOSED:
            unit.bulk_changes.set_status(bulk_change_id, BulkStatus.PROCESSING, from_statuses=_ENDS)
        if drift.fix.get("queue"):
            span = min(self.checks / _CHECKS_A_SECOND, _LATEST_SECONDS)
            check = NextCheck(0, round(self.rng.uniform(0, span)), pending_since=unit.now(), stalled=0)
            queue_check(unit, self.queue_name, bulk_change_id, check, None)
        unit.change_log.add([_entry(self.run, drift)])

    def discard(self, unit: Unit, drifts: Sequence[Drift]) -> Results:
        """Put dead letters aside; they stay in the table until they are pruned."""
        who, now = user_name(), unit.now()
        results = []
        for drift in drifts:
            reason = f"reconcile {self.run.run_id}: {drift.there}"
            letter = unit.dead_letters.get(drift.fix["letter"])
            event = {"event": "discarded", "at": now.isoformat() + "Z", "by": who, "reason": reason}
            moved = unit.dead_letters.mark(
                letter.id,
                DISCARDED,
                from_state=OPEN,
                by=who,
                reason=reason,
                history=(*letter.attempts, event),
            )
            results.append(_done(drift) if moved else MOVED)
        return results


def _entry(run: Run, drift: Drift, row_id: int | None = None) -> ChangeLogEntry:
    if drift.bulk_change_id is None:
        raise AssertionError("outside a bulk change there is no change log")
    return ChangeLogEntry(
        bulk_change_id=drift.bulk_change_id,
        device_change_id=row_id,
        description=f"pondctl reconcile: {drift.kind}: {drift.mend}",
        request_text=f"run {run.run_id}",
        response_text=f"here {drift.here}, there {drift.there}",
        response_status=BulkStatus.PROCESSED,
    )


def _verdict(drift: Drift, status: str | None, is_open: bool) -> str | None:
    """Why a bulk change is left alone; None where it still is as it was found."""
    if status in _ENDS and not is_open:
        return NOT_NEEDED  # a row that was mended just now was its last
    if status != drift.fix["was"] or (drift.kind is Kind.HEADER_OPEN and is_open):
        return MOVED
    return None if is_open or drift.kind is Kind.HEADER_OPEN else NOT_NEEDED


def _done(drift: Drift) -> str:
    return f"done: {drift.mend}"


def _row_fix(drift: Drift) -> RowFix:
    fix = drift.fix
    seen = SeenRow(fix["was_msisdn"], fix["was_processed"], fix["was_errors"])
    details = fix["state"] if drift.kind is Kind.ACTIVE_NOT_SETTLED else None
    number = None if fix["msisdn"] == fix["was_msisdn"] else fix["msisdn"]
    return RowFix(fix["row"], seen, number, details)


def _package_fix(drift: Drift) -> PackageFix:
    fix = drift.fix
    return PackageFix(fix["row"], fix["was"], fix["becomes"], fix["type"])


def _new_package(drift: Drift) -> RatePlanRow:
    fix: Mapping[str, Any] = drift.fix
    return RatePlanRow(
        iccid=drift.iccid or "",
        package_id=fix["package"],
        package_type_id=fix["type"],
        status=fix["status"],
        data_usage_remaining_in_bytes=drift.aside.get("left_bytes"),
        service_provider_id=fix["provider"],
    )


def _outcome(drift: Drift) -> DeviceOutcome:
    return DeviceOutcome(
        drift.iccid or "", Outcome.DONE, detail=f"{drift.kind}: {drift.mend}; here was {drift.here}"
    )
