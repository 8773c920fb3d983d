"""What a person sees of one dead letter: all there is, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from pondctl.clients.attributes import split_label
from pondctl.db.database import Database
from pondctl.db.dead_letters import OPEN, REQUEUED
from pondctl.db.open_work import KnownBulkChange
from pondctl.db.records import DeadLetter
from pondctl.db.unit import Unit
from pondctl.errors import Category, MessageError, NotFoundError
from pondctl.services._standing import span
from pondctl.services.dead_letters.edit import may_edit, trouble_of
from pondctl.services.dead_letters.list import line_of

_ROWS: Final = 20


def show_letter(database: Database, letter_id: int, retention_days: float) -> dict[str, object]:
    """One letter with everything that helps to decide. Raises `NotFoundError`."""

    def read(unit: Unit) -> dict[str, object]:
        letter = unit.dead_letters.get(letter_id)
        bulk_change_id = letter.bulk_change_id
        if bulk_change_id is not None and unit.bulk_changes.hidden({bulk_change_id}):
            raise NotFoundError(f"dead letter {letter_id} does not exist", hint="`pondctl dead-letter list`")
        known = unit.open_work.find([bulk_change_id]).get(bulk_change_id) if bulk_change_id else None
        return {
            "id": letter.id,
            "state": letter.state,
            "reason": letter.reason,
            "next": advice(letter, known),
            "warning": _loop(unit, letter),
            "category": letter.category,
            "bulk_change_id": bulk_change_id,
            "bulk_change_status": known.bulk_change.status if known else None,
            **_times(letter, unit.now(), retention_days),
            "attributes": dict(letter.attributes),
            "body": letter.body,
            "attempts": [dict(each) for each in letter.attempts],
            "devices": _devices(unit, letter) if known else [],
            "line": _line(unit, letter),
            "runs": _runs(unit, letter),
            **_names(letter),
        }

    return database.read(read)


def for_people(record: Mapping[str, object]) -> dict[str, object]:
    """The same with the attributes as a table of their own, and its age in words."""
    attributes = record["attributes"]
    assert isinstance(attributes, Mapping)
    rows = [
        {"attribute": split_label(label)[0], "type": split_label(label)[1], "value": text}
        for label, text in attributes.items()
    ]
    shown = {("age" if name == "age_seconds" else name): value for name, value in record.items()}
    return {**shown, "age": span(float(str(record["age_seconds"]))), "attributes": rows}


def advice(letter: DeadLetter, known: KnownBulkChange | None) -> str | None:
    """What to do next; None where nothing is to be done by hand. Pure."""
    discard = f'pondctl dead-letter discard {letter.id} --reason "…"'
    if letter.state != OPEN:
        return None if letter.state == REQUEUED else f"pondctl dead-letter restore {letter.id}"
    trouble = trouble_of(letter)
    if trouble is not None:
        return _mend(letter, trouble, discard)
    if letter.category == Category.NOT_FOUND and known is None:
        return f"the bulk change does not exist: {discard}"
    if known is not None and known.is_settled:
        again = f"pondctl retry-failed {known.bulk_change.id}"
        return f"the bulk change has ended; its failed rows again: {again}, then {discard}"
    return f"pondctl dead-letter requeue {letter.id}"


def _mend(letter: DeadLetter, trouble: MessageError, discard: str) -> str:
    if not may_edit(letter, trouble.field):
        return f"it cannot be read ({trouble.message}): {discard}"
    edit = f"pondctl dead-letter requeue {letter.id} --set {trouble.field}=…"
    return f"it cannot be read ({trouble.message}): {edit}, or {discard}"


def _times(letter: DeadLetter, now: datetime, retention_days: float) -> dict[str, object]:
    # An open letter is kept for ever; what is settled goes with `db prune`.
    prune = None if letter.state == OPEN else letter.changed_at + timedelta(days=retention_days)
    return {
        "created": letter.created_at,
        "age_seconds": round((now - letter.created_at).total_seconds()),
        "expires": letter.expires_at or prune,
        "requeued": letter.requeue_count,
        "changed": letter.changed_at,
        "changed_by": letter.changed_by,
        "change_reason": letter.change_reason,
    }


def _names(letter: DeadLetter) -> dict[str, object]:
    return {
        "key": letter.key,
        "lineage": letter.lineage,
        "retry_number": letter.retry_number,
        "receive_count": letter.receive_count,
        "source_queue": letter.source_queue,
        "source_message_id": letter.source_message_id,
    }


def _has_line(letter: DeadLetter) -> bool:
    """Whether there can be others of its line; there is no index to look for them in vain."""
    return letter.lineage is not None or letter.requeue_count > 0


def _line(unit: Unit, letter: DeadLetter) -> list[dict[str, object]]:
    if not _has_line(letter):
        return []
    return [line_of(head) for head in unit.dead_letters.line_of(letter) if head.id != letter.id]


def _loop(unit: Unit, letter: DeadLetter) -> str | None:
    if not _has_line(letter):
        return None
    times = unit.dead_letters.requeues_of(letter)
    return f"requeued {times} times for the same error" if times > 1 else None


def _devices(unit: Unit, letter: DeadLetter) -> list[dict[str, object]]:
    """The first rows of its bulk change that are open, and those that failed."""
    if letter.bulk_change_id is None:
        return []
    rows = unit.device_changes.page_work(letter.bulk_change_id, 0, _ROWS)
    rows += unit.chosen_rows.page_failed(letter.bulk_change_id, 0, _ROWS)
    return [
        {
            "device_change_id": row.id,
            "iccid": row.iccid,
            "msisdn": row.msisdn,
            "status": row.status,
            "details": row.status_details,
        }
        for row in rows
    ]


def _runs(unit: Unit, letter: DeadLetter) -> list[dict[str, object]]:
    if letter.bulk_change_id is None:
        return []
    runs = unit.runs.list_recent(_ROWS, target=f"bulk_change:{letter.bulk_change_id}")
    return [
        {"run_id": run.run_id, "command": run.command, "state": run.state, "started": run.started_at,
         "counts": ", ".join(f"{count} {word}" for word, count in run.counts.items()), "error": run.error}
        for run in runs
    ]  # fmt: skip
