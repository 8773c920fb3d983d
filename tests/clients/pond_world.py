"""A POND client for tests: over a cassette, over a function that answers, or over the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from pondctl.clients.pond import PondClient, connect
from pondctl.models import Stop

ICCID = "8910300000000000005"
OLD = "6f1c2d3e-0001-4a5b-8c6d-7e8f90a1b2c3"
NEW = "6f1c2d3e-0002-4a5b-8c6d-7e8f90a1b2c3"
KEY = "not-a-real-key"
BASE_URL = "https://pond.example.test/ds/u/distributorPPUService/v1"

# Of so little time nothing is left for a second attempt.
ONE_ATTEMPT = 0.2

Handler = Callable[[httpx.Request], httpx.Response]


class NoPace:
    """Lets every call go at once."""

    def wait(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Never waits."""
        prepare()

    def throttled(self, retry_after: float | None) -> None:
        """Does not slow down."""


class Hurried(Stop):
    """A stop whose waits are over at once, so that pauses between attempts take no time."""

    def wait(self, timeout: float | None = None) -> bool:
        """Look, and do not wait."""
        return super().wait(0.001 if timeout else timeout)


@contextmanager
def pond_client(handler: Handler | None = None, **settings: Any) -> Iterator[PondClient]:
    """A client of the made-up distributor 1234; `handler` answers instead of a network."""
    values: dict[str, Any] = {
        "base_url": BASE_URL,
        "distributor_id": 1234,
        "api_key": KEY,
        "pace": NoPace(),
        "stop": Hurried(),
        "call_seconds": 5.0,
        "transport": httpx.MockTransport(handler) if handler else None,
    }
    client = connect(**(values | settings))
    try:
        yield client
    finally:
        client.close()


class Script:
    """Answers one call after the other and keeps what was asked; an exception is raised instead."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def writes(self) -> list[httpx.Request]:
        """The calls that were no reads."""
        return [request for request in self.requests if request.method != "GET"]


def answer(body: Any = None, status: int = 200, **headers: str) -> httpx.Response:
    """An answer with a JSON body; None is an empty one."""
    content = b"" if body is None else json.dumps(body).encode()
    return httpx.Response(
        status, content=content, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def refusal(status: int, message: str) -> httpx.Response:
    """POND's error object under its own status."""
    return answer(error_object(status, message), status)


def error_object(status: int, message: str) -> dict[str, Any]:
    """POND's error object."""
    return {
        "status": status,
        "code": 0,
        "message": message,
        "link": "Not Available",
        "developerMessage": "Not Available",
        "referenceId": None,
    }


def package(package_id: str = NEW, status: str = "NOT_ACTIVE", **changes: Any) -> dict[str, Any]:
    """A package as it travels."""
    return {"packageId": package_id, "simIccid": ICCID, "status": status, "packageTypeId": 1002} | changes


def listing(*packages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A page as it travels."""
    return {"total": len(packages), "offset": 0, "count": 100, "elements": list(packages)} | changes


SERVICES = {
    "simDataServiceStatus": "ENABLED",
    "simVoiceServiceStatus": "ENABLED",
    "simSmsServiceStatus": "ENABLED",
    "statusOfSim": "In-Service",
}
