"""What the audit trail says of carrier writes; devices stand there as pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping

from pondctl.db.step_records import NewWrite, Subject, WriteEnd
from pondctl.models import DeviceOutcome
from pondctl.telemetry.audit import Draft, without_secrets
from pondctl.telemetry.identifiers import pseudonym


def intent_draft(write: NewWrite) -> Draft:
    """It will be sent once this is committed; what was seen before is part of the intent."""
    body = {"step": str(write.key), "kind": str(write.kind), "asked": write.intent, **_rows(write.subject)}
    return _about(write.subject, "write.intent", body)


def answer_draft(subject: Subject, end: WriteEnd) -> Draft:
    """What became of it, or what a read-back has shown."""
    said = without_secrets({"category": end.category, "detail": end.detail})
    return _about(
        subject,
        "write.outcome",
        {"step": str(end.key), "state": str(end.state), "answer": end.answer, **said},
    )


def change_draft(subject: Subject, outcome: DeviceOutcome, packages: Mapping[str, object]) -> Draft:
    """A device had other packages before than it has now."""
    body = {"outcome": str(outcome.outcome), **packages, **_rows(subject)}
    return _about(subject, "device.changed", body)


def _about(subject: Subject, event: str, body: Mapping[str, object]) -> Draft:
    return Draft(event, subject.operation, body, device=pseudonym(subject.iccid))


def _rows(subject: Subject) -> Mapping[str, object]:
    ids = {"bulk_change_id": subject.bulk_change_id, "device_change_id": subject.device_change_id}
    return {name: value for name, value in ids.items() if value is not None}
