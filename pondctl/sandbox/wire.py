"""One request and one answer, free of the server library, so that the simulated carriers are plain code."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON = "application/json"


@dataclass(slots=True)
class Call:
    """One request as a carrier sees it. Header names are lower case; `now` is sandbox time."""

    endpoint: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: Mapping[str, list[str]] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0
    ends_badly: bool = False  # accepted now, refused by the network behind the carrier later

    @property
    def content_type(self) -> str:
        """Media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def basic_credentials(self) -> str | None:
        """`user:password` of a basic authorisation header, or None where there is none that can be read."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            return base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None


@dataclass(slots=True)
class Answer:
    """One response, ready to be sent."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - it is an answer, not an error of the sandbox
    """Ends the handling of a call with an answer that is not the one hoped for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json_answer(content: Any, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, orjson.dumps(content))
