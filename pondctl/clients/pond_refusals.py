"""A carrier's no: how it is found in an answer, and which error it becomes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pondctl.clients._repeat import RepeatableError
from pondctl.clients.pond_parse import UnreadableError, parse_json
from pondctl.errors import AuthenticationError, Category, DeviceError, PermissionDeniedError, PondctlError

_TEXT_CHARS: Final = 300
_SHORTEST_SECRET: Final = 4
_EMPTY_WORDS: Final = {"", "not available", "null", "none"}

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _TIMEOUT, _TOO_MANY = 400, 401, 403, 408, 429
_NOT_KNOWN: Final = {400, 403, 404, 410}
_CONFLICT: Final = 409

_DEVICE_WORDS = re.compile(
    r"\b(sims?|iccids?|devices?|packages?|package ?types?|89\d{16,20})\b", re.IGNORECASE
)
_ACCESS_WORDS = re.compile(
    r"distributor|permission|permitted|privilege|access|api.?key|credential|token|authori[sz]", re.IGNORECASE
)
_KEY_WORDS = re.compile(r"distributor|api.?key|credential|token", re.IGNORECASE)
_ADDRESS_WORDS = re.compile(r"\b(resource|route|endpoint|url|path)\b", re.IGNORECASE)
_PAGING_WORDS = re.compile(r"\b(count|offset|limit|page ?size)\b", re.IGNORECASE)
_FORM_WORDS = re.compile(r"\b(digits?|length|malformed)\b", re.IGNORECASE)
_TYPE_WORDS = re.compile(r"package.?(type|template)|rate.?plan", re.IGNORECASE)
_STATE_WORDS = re.compile(
    r"\b(already|terminated|suspended|expired|transition|state|not.active|cannot (go|move|change))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the carrier refused with: an HTTP status, or one that stood inside a 2xx body, and its words."""

    status: int
    text: str
    is_error_object: bool

    @property
    def is_about_device(self) -> bool:
        """Whether the words are about a SIM or package."""
        return bool(_DEVICE_WORDS.search(self.text))

    @property
    def is_about_paging(self) -> bool:
        """Whether the words are about the size of a page, not about a SIM."""
        return self.status == _BAD_REQUEST and bool(_PAGING_WORDS.search(self.text))

    @property
    def is_about_address(self) -> bool:
        """Whether the words say that there is no such path, so that no SIM was looked for."""
        return bool(_ADDRESS_WORDS.search(self.text))

    @property
    def is_about_access(self) -> bool:
        """Whether the words are about key, distributor or permission, and about no device."""
        return bool(_ACCESS_WORDS.search(self.text)) and not self.is_about_device

    @property
    def may_be_about_device(self) -> bool:
        """Whether a refused access leaves open if it is the key that is refused, or this one SIM to it."""
        return self.status == _FORBIDDEN and self.is_about_access and not _KEY_WORDS.search(self.text)

    @property
    def sentence(self) -> str:
        """What an operator is told."""
        return f"POND refused ({self.status}): {self.text or 'it gave no reason'}"


def find_refusal(status: int, content: bytes, secrets: Iterable[str]) -> Refusal | None:
    """The refusal in an answer, None where there is none. A 2xx body can hold one: its `status` is >= 400."""
    try:
        body = parse_json(content)
    except UnreadableError:
        body = None
    inner = _error_status(body)
    if 200 <= status < 300:  # noqa: PLR2004
        if inner is None:
            return None
        status = inner
    return Refusal(status, hide(_words(body, content), secrets)[:_TEXT_CHARS], inner is not None)


def hide(text: str, secrets: Iterable[str]) -> str:
    """One line of visible characters in which no secret stands, should the carrier repeat one."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _error_status(body: Any) -> int | None:
    """`status` of an error object; a package has a status too, but a word."""
    status = body.get("status") if isinstance(body, dict) else None
    if isinstance(status, str) and status.isascii() and status.isdecimal():
        status = int(status[:10])
    if isinstance(status, bool) or not isinstance(status, int) or status < 400:  # noqa: PLR2004
        return None
    return status


def _words(body: Any, content: bytes) -> str:
    """The carrier's own words: message and developer message, or a body that is plain text."""
    if not isinstance(body, dict):
        text = content[: 4 * _TEXT_CHARS].decode("utf-8", "replace").strip()
        return "" if text.startswith(("<", "{", "[")) else text
    said = [body.get(name) for name in ("message", "developerMessage")]
    words = [text.strip() for text in said if isinstance(text, str)]
    return "; ".join(dict.fromkeys(text for text in words if text.lower() not in _EMPTY_WORDS))


def temporary_error(refusal: Refusal) -> RepeatableError | None:
    """The error where the same call may be taken later. The retry layer knows what it means for a write."""
    if refusal.status == _TOO_MANY:
        return RepeatableError(refusal.sentence, category=Category.RATE_LIMITED, unreached=True)
    # A gateway that gave up waiting may still have handed the call on.
    if refusal.status == _TIMEOUT or not 400 <= refusal.status < 500:  # noqa: PLR2004
        return RepeatableError(refusal.sentence, category=Category.CARRIER_UNAVAILABLE)
    return None


def access_error(refusal: Refusal) -> PondctlError | None:
    """The error where it is the credentials that are refused, whatever the device."""
    if refusal.status == _UNAUTHORIZED:
        return AuthenticationError(
            refusal.sentence, hint="check pond.api_key and pond.api_key_header (username and password beside)"
        )
    return denied(refusal) if refusal.status == _FORBIDDEN and refusal.is_about_access else None


def denied(refusal: Refusal) -> PermissionDeniedError:
    """The error where the key is good, and is not allowed to do this."""
    hint = "check pond.distributor_id, and what the key is allowed to do"
    return PermissionDeniedError(refusal.sentence, hint=hint)


def read_error(refusal: Refusal, iccid: str) -> DeviceError:
    """What a refused read means. All that such a read names is the ICCID, so that is what is not known."""
    if refusal.status not in _NOT_KNOWN:
        return rejected(refusal)
    if _FORM_WORDS.search(refusal.text):
        return rejected(refusal, Category.INVALID_ICCID)
    return not_known(iccid, refusal)


def write_error(refusal: Refusal, state: str | None, *, final: bool) -> DeviceError:
    """What a refused write to a device that exists means. `final`: nothing can leave the `state` it is in."""
    about_type = _TYPE_WORDS.search(refusal.text)
    forbidden = final or refusal.status == _CONFLICT or (_STATE_WORDS.search(refusal.text) and not about_type)
    return rejected(refusal, Category.INVALID_STATE if forbidden else Category.CARRIER_REJECTED, state)


def rejected(
    refusal: Refusal, category: Category = Category.CARRIER_REJECTED, state: str | None = None
) -> DeviceError:
    """A permanent no, in the carrier's words."""
    return DeviceError(refusal.sentence, category=category, temporary=False, carrier_state=state)


def not_known(what: str, refusal: Refusal) -> DeviceError:
    """POND has no such SIM or package."""
    words = f": {refusal.text}" if refusal.text else ""
    return DeviceError(
        f"POND does not know {what} ({refusal.status}){words}", category=Category.NOT_FOUND, temporary=False
    )
