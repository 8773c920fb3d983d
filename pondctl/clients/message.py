"""What a queue message means: the host system's attributes, and the check that follows one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pondctl.clients.attributes import (
    MAX_ATTRIBUTES,
    check_attributes,
    check_size,
    flatten,
    kind_of,
    split_label,
)
from pondctl.clients.callback import CarrierHint, parse_callback
from pondctl.clients.envelope import INT32, MAX_CARRIED_BYTES, Envelope, parse_envelope, validated
from pondctl.errors import MessageError

INT64: Final = 2**63 - 1
_WORTH_KEEPING: Final = 1000
# Set on every check that we send. Without the flag the system that shares the queue would write.
_OURS: Final = ("BulkChangeId", "RetryNumber", "IsRetryNewActivateThingSpaceDevice")


def _digits(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch("[0-9]{1,19}", value):
            raise ValueError("is no whole number in plain digits")
        return int(value)
    return value


def _flag(value: object) -> object:
    if isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise ValueError("is neither True nor False")
        return value.lower() == "true"
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
Int32 = Annotated[int, Field(ge=0, le=INT32), BeforeValidator(_digits)]
Int64 = Annotated[int, Field(ge=0, le=INT64), BeforeValidator(_digits)]


class CheckMessage(BaseModel):
    """A valid message. `attributes` and `body` are as received, in the plain form of `attributes.py`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    bulk_change_id: Annotated[Int64, Field(alias="BulkChangeId", ge=1)]
    m2m_device_change_id: Int64 | None = Field(None, alias="M2MDeviceChangeId")
    is_retry_new_activate_thingspace_device: Flag = Field(False, alias="IsRetryNewActivateThingSpaceDevice")
    is_from_automated_update_device_status_lambda: Flag = Field(
        False, alias="IsFromAutomatedUpdateDeviceStatusLambda"
    )
    is_retry_update_identifier: Flag = Field(False, alias="IsRetryUpdateIdentifier")
    retry_number: Int32 = Field(0, alias="RetryNumber")
    request_id: Annotated[str, Field(max_length=256)] | None = Field(None, alias="RequestId")
    attributes: dict[str, str]
    body: str
    envelope: Envelope = Envelope()


_WIRE_NAMES: Final = {
    field.alias.lower(): field.alias for field in CheckMessage.model_fields.values() if field.alias
}


def parse(attributes: Mapping[str, Any], body: str) -> CheckMessage:
    """Read a message of the queue, of an SQS event or of the embedded queue; else `MessageError`.

    What passes here can always be followed by `next_check`.
    """
    if not isinstance(attributes, Mapping) or not isinstance(body, str):
        raise MessageError("message", "is no table of attributes with a text body")
    flat = flatten(attributes)
    labels = tuple(flat)
    # The same few labels come in every message; hostile ones, however long, are not kept.
    names = _names_of(labels) if sum(map(len, labels)) <= _WORTH_KEEPING else _names_of.__wrapped__(labels)
    check_size(flat, body)
    known = {name: flat[label] for label, name in names}
    if "BulkChangeId" not in known:
        raise MessageError("BulkChangeId", "is missing")
    envelope = parse_envelope(body)
    _check_carried(flat, known, envelope.attributes)
    fields = {**known, "attributes": flat, "body": body, "envelope": envelope}
    return validated(CheckMessage, fields)


def parse_any(attributes: Mapping[str, Any], body: str) -> CheckMessage | CarrierHint:
    """Like `parse`, but without a `BulkChangeId` the body may be a carrier's notification."""
    if not isinstance(attributes, Mapping) or not _name_a_bulk_change(tuple(attributes)):
        try:
            return parse_callback(body)
        except MessageError:
            return parse(attributes, body)
    values = attributes.values()
    if all(isinstance(text, str) for text in values) and len(body) + sum(map(len, values)) <= _WORTH_KEEPING:
        return _parsed_before(tuple(attributes.items()), body)
    return parse(attributes, body)


@lru_cache(maxsize=512)
def _parsed_before(attributes: tuple[tuple[str, str], ...], body: str) -> CheckMessage:
    """The existing producer sends one message a device: hundreds say the same."""
    return parse(dict(attributes), body)


def _name_a_bulk_change(labels: tuple[object, ...]) -> bool:
    # The exact spelling comes first: it is what nearly every message has.
    return "BulkChangeId" in labels or any(_wire_name(str(label)) == "BulkChangeId" for label in labels)


def bulk_change_named_in(attributes: Mapping[str, str]) -> int | None:
    """The bulk change that a message is about although it cannot be read; None where that is not certain."""
    given = [text for label, text in attributes.items() if _wire_name(label) == "BulkChangeId"]
    if len(given) != 1 or not re.fullmatch("[0-9]{1,19}", given[0]):
        return None
    number = int(given[0])
    return number if 1 <= number <= INT64 else None


def _wire_name(label: str) -> str | None:
    """The existing producer's spelling of an attribute that has a meaning, else None."""
    return _WIRE_NAMES.get(split_label(label)[0].lower())


@lru_cache(maxsize=256)
def _names_of(labels: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The labels that have a meaning, each with the name that it means."""
    check_attributes(labels)
    found: dict[str, str] = {}
    for label in labels:
        name = _wire_name(label)
        if name is None:
            continue
        if name in found:
            raise MessageError(name, "is given twice")
        if kind_of(split_label(label)[1]) == "Binary":
            raise MessageError(name, "is binary")
        found[name] = label
    return tuple((label, name) for name, label in found.items())


def _check_carried(flat: Mapping[str, str], known: Mapping[str, str], left_over: Mapping[str, str]) -> None:
    """Refuse what would leave no room for the next check: it must not fail after the work is done."""
    if not left_over and len(known) == len(flat):
        return
    if any(_wire_name(label) for label in left_over):
        raise MessageError("body.pondctl.attributes", "hold a name that belongs among the attributes")
    names = [split_label(label)[0] for label in (*flat, *left_over)]
    if len(set(names)) < len(names):
        raise MessageError("body.pondctl.attributes", "hold a name that is among the attributes")
    if len(names) + len(set(_OURS) - known.keys()) > 2 * MAX_ATTRIBUTES:
        raise MessageError("body.pondctl.attributes", "are too many")
    unknown = {label: text for label, text in flat.items() if _wire_name(label) is None}
    if check_size({**unknown, **left_over}, "") > MAX_CARRIED_BYTES:
        raise MessageError("attributes", f"are longer than {MAX_CARRIED_BYTES} bytes")


def next_check(
    cause: CheckMessage | None,
    bulk_change_id: int,
    *,
    key: str,
    retry_number: int | None = None,
    pending_since: datetime | None = None,
    stalled: int = 0,
    not_before: datetime | None = None,
) -> CheckMessage:
    """Build the check that follows `cause` (None: a run by hand), with every attribute of it.

    Its number is one higher, unless given: a run that ended early queues the same number again.
    """
    envelope = cause.envelope if cause else Envelope()
    number = (cause.retry_number if cause else 0) + 1 if retry_number is None else retry_number
    values = dict(zip(_OURS, (str(bulk_change_id), str(min(number, INT32)), "True"), strict=True))
    everything = {**cause.attributes, **envelope.attributes} if cause else {}
    attributes, left_over = _fit(_replaced(everything, values))
    successor = envelope.model_copy(
        update={
            "key": key,
            "lineage": envelope.descent(),
            "not_before": not_before,
            "pending_since": pending_since,
            "stalled": stalled,
            "attributes": left_over,
        }
    )
    return parse(attributes, successor.to_body())


def _replaced(attributes: Mapping[str, str], values: dict[str, str]) -> dict[str, str]:
    """Set the values. What has a meaning goes out under its exact name and as a string: the system that
    shares the queue looks for these, and a flag that it does not see makes it write."""
    result: dict[str, str] = {}
    for label, text in attributes.items():
        name = _wire_name(label)
        result[name or label] = values.pop(name, text) if name else text
    return result | values


def _fit(attributes: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Split off what is more than ten: the last of those that mean nothing to a status check."""
    unknown = [label for label in attributes if _wire_name(label) is None]
    excess = set(unknown[len(unknown) - max(0, len(attributes) - MAX_ATTRIBUTES) :])
    kept = {label: text for label, text in attributes.items() if label not in excess}
    return kept, {label: attributes[label] for label in attributes if label in excess}
