"""Stand-ins for time, for a pace and for ThingSpace, behind the same seams as the real ones."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable

import httpx

from pondctl.clients.pacing import Pace
from pondctl.clients.thingspace import ThingSpaceClient, connect
from pondctl.clients.tokens import MemoryTokenStore, TokenStore
from pondctl.models import Stop

ICCID = "89148000001234567898"
BASE_URL = "https://thingspace.test/api"
ACCOUNT = "0000998877-00001"
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class VirtualClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class FreePace:
    """Lets everything go at once, and remembers what it was told."""

    def __init__(self) -> None:
        self.waits = 0
        self.throttles: list[float | None] = []

    def wait(self, prepare: Callable[[], None] = lambda: None) -> None:
        prepare()
        self.waits += 1

    def throttled(self, retry_after: float | None) -> None:
        self.throttles.append(retry_after)


def record(
    iccid: str = ICCID,
    state: str | None = "active",
    *,
    number: str | None = "12015550123",
    cursor: int | None = None,
    account_name: str | None = ACCOUNT,
) -> dict[str, object]:
    """One device as ThingSpace lists it."""
    ids = [{"kind": "imei", "id": "350000000012340"}, {"kind": "iccId", "id": iccid}]
    if number is not None:
        ids.append({"kind": "msisdn", "id": number})
    attributes = [{"key": "PrimaryPlaceOfUseTitle"}]
    if cursor is not None:
        attributes.append({"key": "DeviceId", "value": str(cursor)})
    return {
        "accountName": account_name,
        "carrierInformations": [{"carrierName": "Verizon Wireless", "state": state}],
        "deviceIds": ids,
        "extendedAttributes": attributes,
        "ipAddress": "10.0.0.1",
    }


def listing(*records: dict[str, object], more: bool = False) -> httpx.Response:
    """A list answer."""
    return httpx.Response(202 if more else 200, json={"hasMoreData": more, "devices": list(records)})


def api_error(code: str, status: int = 400, text: str = "made-up text") -> httpx.Response:
    """An error of the connectivity API."""
    return httpx.Response(status, json={"errorCode": f"UnifiedWebService.{code}", "errorMessage": text})


def gateway_fault(code: str, status: int = 401) -> httpx.Response:
    """An error of the gateway."""
    return httpx.Response(
        status, json={"fault": {"code": code, "message": "made-up", "description": "made-up"}}
    )


class FakeThingSpace:
    """Issues tokens, knows which are still good, and gives scripted answers before its normal one."""

    def __init__(self) -> None:
        self.devices = {ICCID: record()}
        self.scripted: deque[Answer] = deque()
        self.scripted_tokens: deque[Answer] = deque()
        self.scripted_logins: deque[Answer] = deque()
        self.always: Answer | None = None
        self.bearer = self.session = ""
        self.token_requests = self.logins = 0
        self.lifetime: object = 3312
        self.requests: list[httpx.Request] = []
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    @property
    def reads(self) -> list[httpx.Request]:
        """The requests that were about devices."""
        return [request for request in self.requests if "/devices/" in request.url.path]

    def _answer(self, request: httpx.Request) -> Answer:
        self.requests.append(request)
        if request.url.path.endswith("/oauth2/token"):
            self.token_requests += 1
            return self.scripted_tokens.popleft() if self.scripted_tokens else self._issue()
        if request.url.path.endswith("/session/login"):
            self.logins += 1
            return self.scripted_logins.popleft() if self.scripted_logins else self._login(request)
        return (
            self._refuse(request)
            or (self.scripted.popleft() if self.scripted else None)
            or self._read(request)
        )

    def _issue(self) -> httpx.Response:
        self.bearer = self.bearer or f"bearer-{self.token_requests}"
        return httpx.Response(
            200, json={"access_token": self.bearer, "token_type": "Bearer", "expires_in": self.lifetime}
        )

    def _login(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {self.bearer}":
            return gateway_fault("900901")
        self.session = f"session-{self.logins}"
        return httpx.Response(200, json={"sessionToken": self.session})

    def _refuse(self, request: httpx.Request) -> httpx.Response | None:
        if request.headers.get("authorization") != f"Bearer {self.bearer}":
            return gateway_fault("900901")
        if request.headers.get("vz-m2m-token") != self.session:
            return api_error("INPUT_INVALID.SessionToken.Invalid")
        return None

    def _read(self, request: httpx.Request) -> Answer:
        if self.always is not None:
            return self.always
        if request.method == "GET":
            wanted = request.url.path.rsplit("/", 1)[1]
        else:
            wanted = json.loads(request.content)["deviceId"]["id"]
        return listing(self.devices[wanted]) if wanted in self.devices else listing()


def thingspace(
    fake: Callable[[httpx.Request], httpx.Response],
    *,
    tokens: TokenStore | None = None,
    clock: VirtualClock | None = None,
    pace: Pace | None = None,
    stop: Stop | None = None,
    **more: object,
) -> ThingSpaceClient:
    """The real client in front of a stand-in for the network; time is virtual."""
    clock = clock or VirtualClock()
    settings: dict[str, object] = {
        "base_url": BASE_URL,
        "account_name": ACCOUNT,
        "client_id": "made-up-id",
        "client_secret": "made-up-secret",
        "username": "made-up-user",
        "password": "made-up-password",
    }
    return connect(
        tokens=tokens or MemoryTokenStore(clock),
        pace=pace or FreePace(),
        stop=stop or Stop(),
        transport=httpx.MockTransport(fake),
        clock=clock,
        sleep=clock.sleep,
        **{**settings, **more},  # type: ignore[arg-type]
    )
