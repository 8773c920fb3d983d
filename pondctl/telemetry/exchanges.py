"""`--debug-http`: every request and its answer as a log event, whole but for secrets and identifiers.

What is shown went through the redactor first and was shortened afterwards: half a secret is one too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from pondctl.telemetry.logger import Logger
from pondctl.telemetry.redact import redact, redact_text

# So much of a body is looked at, and so much of it shown.
_READ: Final = 65_536
_SHOWN: Final = 8_000
# Of a body that was cut, the end may be the beginning of a secret.
_CUT_OFF: Final = 4_096

_log = Logger()
_switch = {"on": False}

Headers = Iterable[tuple[str, str]]


def switch(*, on: bool) -> None:
    """Show exchanges from now on, or no longer."""
    _switch["on"] = on


def is_on() -> bool:
    """Whether exchanges are shown."""
    return _switch["on"]


def show_exchange(
    *,
    carrier: str,
    method: str,
    url: str,
    request: tuple[Headers, bytes],
    answer: tuple[int, Headers, bytes] | None,
    error: str | None = None,
) -> None:
    """Tell one request and what came back; each of the two is headers and body."""
    told: dict[str, object] = {
        "carrier": carrier,
        "method": method,
        "url": url,
        "request_headers": dict(request[0]),
        "request_body": _readable(request[1]),
    }
    if answer is not None:
        told |= {
            "http_status": answer[0],
            "response_headers": dict(answer[1]),
            "response_body": _readable(answer[2]),
        }
    if error is not None:
        told["error"] = error
    _log.debug("http exchange", **told)


def _readable(body: bytes) -> object:
    """JSON as it is nested, so that secrets are found by their names; anything else as text."""
    if not body:
        return None
    if len(body) <= _READ:
        try:
            return _short(redact(json.loads(body)))
        except (ValueError, RecursionError):
            return _short(redact_text(body.decode("utf-8", "backslashreplace")))
    text = redact_text(body[:_READ].decode("utf-8", "backslashreplace"))
    return f"{text[: max(0, min(_SHOWN, len(text) - _CUT_OFF))]}… ({len(body):,} bytes)"


def _short(clean: object) -> object:
    text = clean if isinstance(clean, str) else json.dumps(clean)
    if len(text) <= _SHOWN:
        return clean
    return f"{text[:_SHOWN]}… ({len(text):,} characters)"


def headers_of(mapping: Mapping[str, object]) -> Headers:
    """Headers as pairs of text, whatever a library keeps in them."""
    for name, value in mapping.items():
        yield name, value.decode("latin-1") if isinstance(value, bytes) else str(value)
