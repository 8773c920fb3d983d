"""Reading request bodies as strictly as ThingSpace does, and a little more strictly where it is silent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from pondctl.sandbox.thingspace.errors import api_error, xml_fault
from pondctl.sandbox.wire import JSON, Call

_FORBIDDEN = re.compile(rb"['<\\]")
_KINDS = {
    "iccid": re.compile(r"\d{18,20}", re.ASCII),
    "imei": re.compile(r"\d{14,16}", re.ASCII),
    "mdn": re.compile(r"[2-9]\d{9}", re.ASCII),
    "msisdn": re.compile(r"\d{10,15}", re.ASCII),
    "esn": re.compile(r"\d{1,11}", re.ASCII),
    "meid": re.compile(r"[0-9A-Fa-f]{14}"),
    "eid": re.compile(r"\d{32}", re.ASCII),
}


def read_object(call: Call, *, characters_checked: bool = True) -> dict[str, Any]:
    """The JSON object of a call, or the refusal that fits what came instead."""
    if call.content_type != JSON:
        raise xml_fault(415, "415", "Unsupported Media Type", f"The content type must be {JSON}")
    if not call.body.strip():
        raise api_error("INPUT_INVALID.RequestUndefined", "The request is empty")
    if characters_checked and _FORBIDDEN.search(call.body):
        raise api_error("INPUT_INVALID.Request.InvalidCharacter", "The request has an invalid character")
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise api_error("DeserializationFailed", "The request is no JSON object")
    return body


def known_fields(body: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse a field that no page names: a misspelt filter would otherwise mean the whole account."""
    unknown = sorted(set(body) - known)
    if unknown:
        raise api_error("REQUEST_FAILED.UnexpectedError", f"Unknown element {unknown[0]}")


def text_field(body: Mapping[str, Any], name: str) -> str:
    """A required text."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise api_error("DeserializationFailed", f"The element {name} is required")
    return value


def object_list(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """An optional list of objects."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise api_error("DeserializationFailed", f"The element {name} must be a list of objects")
    return value


def device_identifier(value: object) -> tuple[str, str]:
    """Kind (lower case) and id of `{"id": …, "kind": …}`."""
    if not isinstance(value, dict):
        raise api_error("DeserializationFailed", "A device identifier must have id and kind")
    kind, identifier = text_field(value, "kind").lower(), text_field(value, "id")
    if kind not in _KINDS:
        raise api_error("INPUT_INVALID.Device.Kind.Invalid", f"The kind {kind} is not valid")
    if not _KINDS[kind].fullmatch(identifier):
        raise api_error("INPUT_INVALID.Device.Identifier.Invalid", f"{identifier} does not fit {kind}")
    return kind, identifier


def device_list(body: Mapping[str, Any], limit: int) -> list[dict[str, str]]:
    """The devices of a provisioning request, each as kind → id.

    The real service takes a request without devices for the whole account; the sandbox refuses it,
    because nobody can want that.
    """
    devices = body.get("devices")
    if not isinstance(devices, list) or not devices:
        raise api_error("INPUT_INVALID.DeviceNotProvided", "The request names no device")
    if len(devices) > limit:
        raise api_error("INPUT_INVALID.MaxRequestsExceeded", f"More than {limit} devices in one request")
    return [_identifiers(device) for device in devices]


def _identifiers(device: object) -> dict[str, str]:
    listed = device.get("deviceIds") if isinstance(device, dict) else None
    if not isinstance(listed, list) or not listed:
        raise api_error("DeserializationFailed", "A device must have deviceIds")
    return dict(map(device_identifier, listed))
