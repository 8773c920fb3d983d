"""POND's one error object."""

from __future__ import annotations

from typing import Any

from pondctl.sandbox.wire import Refused, json_answer


def error_body(status: int, message: str) -> dict[str, Any]:
    """The object that stands in every refusal."""
    return {
        "status": status,
        "code": 0,
        "message": message,
        "link": "Not Available",
        "developerMessage": message,
        "referenceId": None,
    }


def refused(status: int, message: str) -> Refused:
    """A refusal, to be raised."""
    return Refused(json_answer(error_body(status, message), status))
