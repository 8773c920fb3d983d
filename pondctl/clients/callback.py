"""Carrier notifications (ThingSpace `CarrierService` documents): a hint where to look, never a fact.

Nobody signs them. So the ICCIDs are all that counts, and the carrier itself is asked about those.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from pondctl.clients.attributes import check_size
from pondctl.errors import MessageError
from pondctl.models import normalize_iccid

_PASSWORD = re.compile(
    r'(passw[^"]{0,100}"\s*:\s*)(\\*"(?:[^"\\]|\\.)*"?|[^][{},"\s]+)', re.DOTALL | re.IGNORECASE
)
_SHOWN_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class CarrierHint:
    """What a notification claims. `fault_*` count only where a lookup agrees.

    `not_iccids` says how many device ids of kind ICCID are none.
    """

    iccids: tuple[str, ...]
    request_id: str | None
    status: str | None
    fault_code: str | None
    fault_text: str | None
    not_iccids: int = 0


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _DeviceId(_Part):
    id: Annotated[str, Field(max_length=64)]
    kind: Annotated[str, Field(max_length=32)]


class _Answer(_Part):
    device_ids: list[_DeviceId] = Field([], alias="deviceIds")


class _Fault(_Part):
    code: str | None = Field(None, alias="faultcode")
    text: str | None = Field(None, alias="faultstring")


class _Callback(_Answer):
    request_id: Annotated[str, Field(max_length=128)] | None = Field(None, alias="requestId")
    status: Annotated[str, Field(max_length=64)] | None = None
    # One entry, named after the request (`activateResponse`); the other names were never published.
    device_response: dict[str, _Answer | None] | None = Field(None, alias="deviceResponse")
    fault: _Fault | None = Field(None, alias="faultResponse")


def parse_callback(body: str) -> CarrierHint:
    """Read a notification; raises `MessageError` where it names no device. Its login is not read."""
    if not isinstance(body, str):
        raise MessageError("body", "is no text")
    check_size({}, body)
    try:
        callback = _Callback.model_validate_json(body)
    except ValidationError as error:
        raise _complaint(error) from None
    answers = [callback, *(callback.device_response or {}).values()]
    named = [
        device.id
        for answer in answers
        if answer is not None
        for device in answer.device_ids
        if device.kind.strip().lower() == "iccid"
    ]
    iccids = [normalize_iccid(text) for text in named]
    valid = tuple(dict.fromkeys(iccid for iccid in iccids if iccid))
    if not valid:
        raise MessageError("body", "is a notification without an ICCID")
    fault = callback.fault
    return CarrierHint(
        iccids=valid,
        request_id=callback.request_id,
        status=callback.status,
        fault_code=_cut(fault.code if fault else None),
        fault_text=_cut(fault.text if fault else None),
        not_iccids=iccids.count(None),
    )


def _complaint(error: ValidationError) -> MessageError:
    """Name the outermost field, which is one of ours; the inner ones, and the values, are the sender's."""
    place = error.errors(include_url=False, include_input=False, include_context=False)[0]["loc"]
    if place:
        return MessageError(f"body.{place[0]}", "cannot be read")
    return MessageError("body", "is no carrier notification")


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_SHOWN_CHARS]


def without_password(body: str) -> str:
    """Return a body as it may be stored: unchanged, but for the values of anything named password."""
    try:
        document = from_json(body)
    except (ValueError, TypeError):
        # Cut or broken JSON: nothing reads it again, so the text alone is mended.
        return _PASSWORD.sub(r'\1""', body)
    blanked = _blanked(document)
    return body if blanked == document else json.dumps(blanked, ensure_ascii=False)


def _blanked(part: Any) -> Any:
    if isinstance(part, list):
        return [_blanked(item) for item in part]
    if isinstance(part, dict):
        return {key: "" if "passw" in key.lower() else _blanked(value) for key, value in part.items()}
    # A document within a text, as notification services wrap it.
    return without_password(part) if isinstance(part, str) else part
