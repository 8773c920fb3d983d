"""What a step and a decided device leave in the host's change log. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pondctl.clients.pond_models import Package
from pondctl.db.records import ChangeLogEntry
from pondctl.db.step_records import StepState, Subject, WriteEnd
from pondctl.models import BulkStatus, DeviceOutcome, Outcome
from pondctl.services.lifecycle.instructions import Write
from pondctl.services.syncing.judge import status_details

_STATUS = {
    StepState.DONE: BulkStatus.PROCESSED,
    StepState.REFUSED: BulkStatus.API_FAILED,
    StepState.NOT_SENT: BulkStatus.API_FAILED,
}
_OUTCOME_STATUS = {
    Outcome.DONE: BulkStatus.PROCESSED,
    Outcome.UNCHANGED: BulkStatus.PROCESSED,
    Outcome.FAILED: BulkStatus.API_FAILED,
    Outcome.SKIPPED: BulkStatus.API_FAILED,
}


def step_entry(subject: Subject, write: Write | None, end: WriteEnd) -> ChangeLogEntry | None:
    """The line of one carrier write: its own answer, not the one before. None outside a bulk change."""
    if subject.bulk_change_id is None:
        return None
    what = str(write.kind) if write else "read back"
    asked = json.dumps(write.intent()) if write else ""
    failed = end.state in (StepState.REFUSED, StepState.NOT_SENT)
    return ChangeLogEntry(
        bulk_change_id=subject.bulk_change_id,
        device_change_id=subject.device_change_id,
        description=f"pondctl {subject.operation}: {what}: {end.state}",
        has_errors=failed,
        error_text=end.detail if failed else None,
        request_text=f"step {end.key}: {what} {asked}".strip(),
        response_text=end.detail or (json.dumps(end.answer) if end.answer else None),
        response_status=_STATUS.get(end.state, BulkStatus.PENDING),
    )


def outcome_entry(subject: Subject, run_id: str, outcome: DeviceOutcome) -> ChangeLogEntry:
    """The line of one decided row; only for a subject that has a bulk change."""
    if subject.bulk_change_id is None:
        raise AssertionError("outside a bulk change there is no change log")
    refused = outcome.outcome in (Outcome.FAILED, Outcome.SKIPPED)
    return ChangeLogEntry(
        bulk_change_id=subject.bulk_change_id,
        device_change_id=outcome.device_change_id,
        description=f"pondctl {subject.operation}: {outcome.outcome}",
        has_errors=refused,
        error_text=status_details(outcome) if refused else None,
        request_text=f"run {run_id}",
        response_text=outcome.detail or outcome.carrier_state,
        response_status=_OUTCOME_STATUS.get(outcome.outcome, BulkStatus.PENDING),
    )


def shown(packages: Sequence[Package] | None) -> list[dict[str, object]] | None:
    """Packages for the journal."""
    if packages is None:
        return None
    return [
        {"package_id": p.package_id, "package_type_id": p.package_type_id, "status": p.carrier_status}
        for p in packages
    ]
