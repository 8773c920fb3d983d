"""ThingSpace's four shapes of error bodies, read without trusting any of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Final

import httpx

_LONGEST_TEXT: Final = 200
_LARGEST_FAULT_BYTES: Final = 16 * 1024
_UNAUTHORIZED: Final = 401
NOT_JSON: Final = object()
BEARER, SESSION = "bearer", "session"


class Shape(Enum):
    """Which part of ThingSpace complains."""

    API = "api"
    GATEWAY = "gateway"
    OAUTH = "oauth"


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error body. The code is safe to show; the text can carry data of the carrier's."""

    shape: Shape
    code: str
    text: str

    @property
    def about_session(self) -> bool:
        """Whether the session token is meant; a new login mends it."""
        return self.shape is Shape.API and ".SessionToken." in f".{self.code}"

    @property
    def about_bearer(self) -> bool:
        """Whether the bearer token is meant: wrong or expired, which share a code."""
        return self.shape is Shape.GATEWAY and self.code in ("900901", "900903", "900904")


def body_of(response: httpx.Response) -> object:
    """Return the parsed body, or `NOT_JSON`: a gateway's XML, a proxy's page, half an answer."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return NOT_JSON


def complaint_in(body: object) -> Complaint | None:
    """Return the error that a body tells of, whatever the HTTP status says."""
    if not isinstance(body, dict):
        return None
    fault = body.get("fault")
    if isinstance(body.get("errorCode"), str):
        return Complaint(Shape.API, _clean(body["errorCode"]), _clean(body.get("errorMessage")))
    if isinstance(fault, dict):
        return Complaint(Shape.GATEWAY, _clean(fault.get("code")), _clean(fault.get("message")))
    if isinstance(body.get("error"), str):
        return Complaint(Shape.OAUTH, _clean(body["error"]), _clean(body.get("error_description")))
    return None


def stale_token(response: httpx.Response) -> str | None:
    """Which token the answer calls stale, if any: `BEARER` or `SESSION`."""
    content = response.content
    # Pages of devices are not parsed twice for this.
    if len(content) > _LARGEST_FAULT_BYTES or not (b"SessionToken" in content or b"90090" in content):
        return None
    complaint = complaint_in(body_of(response))
    if complaint is None:
        return None
    return BEARER if complaint.about_bearer else SESSION if complaint.about_session else None


def stale_in_a_call(response: httpx.Response) -> str | None:
    """Like `stale_token`, for any call but a login, where a 401 may be about the password.

    A gateway in front can refuse an old bearer in XML, in OAuth's words or without any.
    """
    stale = stale_token(response)
    if stale is None and response.status_code == _UNAUTHORIZED:
        complaint = complaint_in(body_of(response))
        return BEARER if complaint is None or complaint.shape is Shape.OAUTH else None
    return stale


def _clean(value: object) -> str:
    """Outside text as one short printable line."""
    if not isinstance(value, str | int):
        return ""
    text = "".join(char if char.isprintable() else " " for char in str(value)[: 2 * _LONGEST_TEXT])
    return " ".join(text.split())[:_LONGEST_TEXT]
