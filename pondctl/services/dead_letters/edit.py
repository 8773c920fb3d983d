"""The message that a dead letter becomes when it is queued again: edited, checked, under a new key. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pondctl.clients.attributes import check_sendable, split_label
from pondctl.clients.callback import CarrierHint
from pondctl.clients.envelope import Envelope
from pondctl.clients.message import CheckMessage, bulk_change_named_in, parse, parse_any
from pondctl.db.records import DeadLetter, NewMessage
from pondctl.errors import MessageError, UsageError
from pondctl.models import EMBEDDED_QUEUE

_KEPT_ANCESTORS: Final = 16
_NAMES: Final = {
    model_field.alias.lower(): model_field.alias
    for model_field in CheckMessage.model_fields.values()
    if model_field.alias
}


@dataclass(frozen=True, slots=True)
class Edit:
    """What a person changes in a message: attributes by name, None takes one out."""

    values: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def bulk_change_id(self) -> int | None:
        """The bulk change that the messages are about afterwards, where the edit says so."""
        return bulk_change_named_in({name: value for name, value in self.values.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Successor:
    """The message to queue, and what differs from the letter: name -> before and after.

    `check` is how a worker will read it; None: a carrier's notification.
    """

    message: NewMessage
    changes: Mapping[str, Sequence[str | None]]
    check: CheckMessage | None = None


def read_edit(given: Sequence[str], removed: Sequence[str]) -> Edit:
    """Read `Name=Value` and names to take out. Raises `UsageError`."""
    values: dict[str, str | None] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {text[:40]!r} is no Attribute=Value", hint="--set RetryNumber=0")
        if name.strip().lower() in (known.lower() for known in values):
            raise UsageError(f"--set names {name.strip()[:40]} twice")
        values[name.strip()] = value
    for name in removed:
        if name.strip().lower() in (known.lower() for known in values):
            raise UsageError(f"{name.strip()[:40]} is both set and taken out")
        values[name.strip()] = None
    return Edit(values)


def successor(letter: DeadLetter, edit: Edit, *, key: str, queue: str) -> Successor:
    """Build the message that takes the letter's place. Its budgets of waiting and retrying are new.

    Raises `MessageError` where it would only die again, naming the field.
    """
    attributes, changes = _edited(letter.attributes, edit)
    parsed = parse_any(attributes, letter.body)
    checked: CheckMessage | None = None
    if isinstance(parsed, CarrierHint):
        bulk_change_id, retry_number, body = None, 0, letter.body
    else:
        body = _body(letter.body, _envelope(parsed.envelope, letter.key, key))
        # What the worker will make of it, so that nothing is queued that it could not read.
        checked = parse(attributes, body)
        bulk_change_id, retry_number = checked.bulk_change_id, checked.retry_number
    if queue != EMBEDDED_QUEUE:
        check_sendable(attributes, body)
    message = NewMessage(
        key=key,
        queue=queue,
        attributes=attributes,
        body=body,
        bulk_change_id=bulk_change_id,
        retry_number=retry_number,
        lineage=letter.key,
    )
    return Successor(message, changes, checked)


def may_edit(letter: DeadLetter, name: str) -> bool:
    """Whether `--set` takes this name for this letter."""
    return name.lower() in _NAMES or name in {split_label(label)[0] for label in letter.attributes}


def trouble_of(letter: DeadLetter) -> MessageError | None:
    """Why the letter, as it is, could not be queued again."""
    try:
        successor(letter, Edit(), key="check", queue=EMBEDDED_QUEUE)
    except MessageError as error:
        return error
    return None


def _edited(
    attributes: Mapping[str, str], edit: Edit
) -> tuple[dict[str, str], dict[str, Sequence[str | None]]]:
    edited = dict(attributes)
    changes: dict[str, Sequence[str | None]] = {}
    labels = {split_label(label)[0].lower(): label for label in attributes}
    for name, value in edit.values.items():
        label = labels.get(name.lower())
        before = None if label is None else attributes[label]
        if label is None:
            if value is None or name.lower() not in _NAMES:
                raise MessageError(name[:100], "is no attribute of this message, nor one that pondctl knows")
            label = _NAMES[name.lower()]
        if value is None:
            del edited[label]
        else:
            edited[label] = value
        if before != value:
            changes[label] = (before, value)
    return edited, changes


def _envelope(before: Envelope, letter_key: str, key: str) -> Envelope:
    """Ours, with the letter among the ancestors and nothing left of the time that it has waited."""
    line = before.descent()
    if letter_key not in line:
        line = (*line, letter_key)
    line = line[:1] + line[1:][-_KEPT_ANCESTORS:]
    kept = before.model_dump(
        exclude={"key", "lineage", "not_before", "pending_since", "stalled"}, exclude_defaults=True
    )
    return Envelope.model_validate({**kept, "key": key, "lineage": line})


def _body(before: str, envelope: Envelope) -> str:
    """The envelope beside whatever else a JSON object holds; free text stays with the letter."""
    ours = envelope.to_body()
    try:
        document = json.loads(before)
        if not isinstance(document, dict) or document.keys() <= {"pondctl"}:
            return ours
        return json.dumps({**document, **json.loads(ours)}, allow_nan=False)
    except (ValueError, RecursionError):
        return ours
