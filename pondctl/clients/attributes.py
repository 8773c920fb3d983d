"""Message attributes as plain `name -> text`: the one form that tables, services and people see.

SQS gives `{"StringValue", "DataType"}`, an SQS event of Lambda the same in camel case, the embedded
queue keeps the plain form itself. A type other than String stands behind the name, as in
`Weight:Number` (a colon cannot be part of an SQS attribute name); binary values are base64.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from pondctl.errors import MessageError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

MAX_ATTRIBUTES: Final = 10
MAX_MESSAGE_BYTES: Final = 262_144
_NAME = re.compile(r"(?!\.)(?!(?i:aws|amazon)\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
_TYPE = re.compile(r"(?P<kind>String|Number|Binary)(\.[A-Za-z0-9_.-]{1,240})?")
# What SQS takes: XML 1.0 characters. One other character fails the whole batch.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def flatten(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return attributes of any of the three shapes as `name[:type] -> text`; nothing is refused yet."""
    return dict(_flat_item(str(name), given) for name, given in attributes.items())


def _flat_item(name: str, given: object) -> tuple[str, str]:
    if isinstance(given, str):
        return name, given
    if not isinstance(given, Mapping):
        return f"{name}:unreadable", ""
    data_type = str(given.get("DataType", given.get("dataType", "String")))
    label = name if data_type == "String" else f"{name}:{data_type}"
    text = given.get("StringValue", given.get("stringValue"))
    if isinstance(text, str):
        return label, text
    raw = given.get("BinaryValue", given.get("binaryValue"))
    if isinstance(raw, bytes):
        return label, base64.b64encode(raw).decode("ascii")
    return (label, raw) if isinstance(raw, str) else (f"{name}:unreadable", "")


def split_label(label: str) -> tuple[str, str]:
    """Return name and data type of a label of the plain form."""
    name, _, data_type = label.partition(":")
    return name, data_type or "String"


def to_wire(flat: Mapping[str, str]) -> dict[str, MessageAttributeValueTypeDef]:
    """Return the plain form as boto3 takes it; `check_sendable` must have passed."""
    wire: dict[str, MessageAttributeValueTypeDef] = {}
    for label, text in flat.items():
        name, data_type = split_label(label)
        if kind_of(data_type) == "Binary":
            wire[name] = {"DataType": data_type, "BinaryValue": base64.b64decode(text)}
        else:
            wire[name] = {"DataType": data_type, "StringValue": text}
    return wire


def kind_of(data_type: str) -> str | None:
    """Return String, Number or Binary for a data type with or without a label of its own."""
    match = _TYPE.fullmatch(data_type)
    return match["kind"] if match else None


def check_attributes(labels: Collection[str], place: str = "attributes") -> None:
    """Raise `MessageError` unless these could be the labels of one SQS message's attributes."""
    if len(labels) > MAX_ATTRIBUTES:
        raise MessageError(place, f"are more than {MAX_ATTRIBUTES}")
    if len({split_label(label)[0] for label in labels}) < len(labels):
        raise MessageError(place, "have the same name twice")
    for label in labels:
        name, data_type = split_label(label)
        if not _NAME.fullmatch(name):
            raise MessageError(place, "have a name that SQS does not allow")
        if kind_of(data_type) is None:
            raise MessageError(name, "has no String, Number or Binary value")


def check_size(flat: Mapping[str, str], body: str) -> int:
    """Return the bytes of a message as SQS counts them; raise `MessageError` above its limit."""
    size = _bytes_of("body", body)
    for label, text in flat.items():
        name, data_type = split_label(label)
        size += len(name) + len(data_type) + _bytes_of(name, text)
    if size > MAX_MESSAGE_BYTES:
        raise MessageError("message", f"is longer than {MAX_MESSAGE_BYTES} bytes")
    return size


def _bytes_of(field: str, text: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise MessageError(field, "is no valid Unicode") from None


def check_sendable(flat: Mapping[str, str], body: str) -> int:
    """Return the size; raise `MessageError` for what SQS would refuse, and the whole batch with it."""
    check_attributes(flat)
    size = check_size(flat, body)
    for field, text in (("body", body), *((split_label(label)[0], text) for label, text in flat.items())):
        if not text:
            raise MessageError(field, "is empty")
        if _FORBIDDEN.search(text):
            raise MessageError(field, "has a character that SQS does not take")
    for label, text in flat.items():
        name, data_type = split_label(label)
        if kind_of(data_type) == "Binary":
            _check_base64(name, text)
    return size


def _check_base64(name: str, text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise MessageError(name, "is no base64 text") from None
