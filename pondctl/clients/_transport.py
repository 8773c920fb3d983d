"""One HTTP exchange: ended on time, read whole up to a limit, told once, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from pondctl import __version__
from pondctl.clients._answer import MAX_BODY_BYTES, too_large
from pondctl.clients._direct import DirectTransport
from pondctl.clients._network import open_transport, within
from pondctl.telemetry import exchanges, metrics
from pondctl.telemetry.call_times import note_call
from pondctl.telemetry.logger import Logger

_TOO_MANY_REQUESTS = 429
# The body is handed on decoded and whole, so what described it on the wire is no longer true.
_WIRE_HEADERS = ("content-encoding", "content-length", "transfer-encoding")

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"pondctl/{__version__}",
}

# Nothing in it that would have to be encoded, or that means a step up.
_PLAIN_PATH: Final = re.compile(r"(?:/[\w-]+)+(?:\?[\w=&-]*)?", re.ASCII)
# As httpx writes a body.
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

_log = Logger()


class CarrierTransport(httpx.BaseTransport):
    """Wraps a transport. Reads `seconds`, `endpoint` and `attempt` from the request's extensions."""

    def __init__(
        self,
        inner: httpx.BaseTransport,
        carrier: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._carrier = carrier
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send and read the whole answer, or raise an httpx error or a `RepeatableError`."""
        started = self._clock()
        status: int | None = None
        answer: httpx.Response | None = None
        try:
            with within(request.extensions["seconds"]):
                response = self._inner.handle_request(request)
                status = response.status_code
                try:
                    answer = self._whole(response, started + request.extensions["seconds"])
                finally:
                    response.close()
            return answer
        finally:
            self._tell(request, status, self._clock() - started)
            if exchanges.is_on():
                _show(self._carrier, request, answer, None if answer is not None else sys.exception())

    def prepare(self, url: httpx.URL, seconds: float) -> None:
        """Connect before this thread's next call may go; what goes wrong, that call raises."""
        if isinstance(self._inner, DirectTransport):
            with within(seconds):
                self._inner.prepare(url, seconds)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _whole(self, response: httpx.Response, deadline: float) -> httpx.Response:
        if response.is_closed:
            return response
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise too_large()
            if self._clock() > deadline:
                raise httpx.ReadTimeout("the call's time is over")
        headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _WIRE_HEADERS]
        return httpx.Response(response.status_code, headers=headers, content=b"".join(parts))

    def _tell(self, request: httpx.Request, status: int | None, seconds: float) -> None:
        endpoint, attempt = request.extensions["endpoint"], request.extensions["attempt"]
        _log.debug(
            "carrier call",
            carrier=self._carrier,
            method=request.method,
            endpoint=endpoint,
            http_status=status,
            seconds=round(seconds, 4),
            attempt=attempt,
        )
        where = {"carrier": self._carrier, "endpoint": endpoint}
        metrics.observe("pondctl_call_seconds", seconds, **where)
        metrics.count("pondctl_calls_total", **where, status=status or "none")
        if attempt > 1:
            metrics.count("pondctl_call_retries_total", **where)
        if status == _TOO_MANY_REQUESTS:
            metrics.count("pondctl_throttled_total", carrier=self._carrier)
        if status is not None:
            note_call(self._carrier, endpoint, seconds)


def _show(
    carrier: str, request: httpx.Request, answer: httpx.Response | None, error: BaseException | None
) -> None:
    exchanges.show_exchange(
        carrier=carrier,
        method=request.method,
        url=str(request.url),
        request=(request.headers.items(), request.content),
        answer=(answer.status_code, answer.headers.items(), answer.content) if answer is not None else None,
        error=None if error is None else f"{type(error).__name__}: {error}",
    )


class CarrierClient:
    """Builds and sends the requests to one carrier, for all threads.

    Beside `httpx.Client` it keeps no cookies (a session is shared, never a thread's own), follows no
    redirects, and asks the environment nothing.
    """

    def __init__(
        self,
        base_url: str,
        transport: CarrierTransport,
        auth: httpx.Auth,
        *,
        headers: Mapping[str, str],
        look: Callable[[httpx.Response], None],
        find_tokens: Callable[[], None],
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        self._auth = auth
        self._headers = headers
        self._look = look
        self._find_tokens = find_tokens
        self._base = httpx.URL(self._base_url)
        self._host = self._base.netloc.decode("ascii")

    def build_request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        data: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> httpx.Request:
        """Return a request to a path below the base URL, with a body of JSON, of form `data`, or none."""
        url = self._address(f"{path}?{urlencode(params)}" if params else path)
        kind, body = None, b""
        if json is not None:
            kind, body = "application/json", _json(json).encode()
        elif data is not None:
            kind, body = "application/x-www-form-urlencoded", urlencode(data).encode()
        sent = {"Host": self._host, **self._headers, **(headers or {})}
        if kind is not None:
            sent["Content-Type"] = kind
        if method != "GET":
            sent["Content-Length"] = str(len(body))
        # With a stream httpx takes the headers as they are: to add its own takes it longer than all else.
        request = httpx.Request(
            method, url, headers=sent, stream=httpx.ByteStream(body), extensions=extensions
        )
        request.read()
        return request

    def prepare(self, seconds: float) -> None:
        """Do what this thread's next call needs before it can go, so that it goes when its turn comes.

        What goes wrong on the wire, the call itself raises.
        """
        self._find_tokens()
        self._transport.prepare(self._base, seconds)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send, with whatever `auth` sends before and again, and return the last answer, read whole."""
        flow = self._auth.sync_auth_flow(request)
        try:
            sent = next(flow)
            while True:
                answer = self._exchange(sent)
                try:
                    sent = flow.send(answer)
                except StopIteration:
                    return answer
        finally:
            flow.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = self._transport.handle_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        answer.request = request
        self._look(answer)
        return answer

    def _address(self, path: str) -> httpx.URL:
        if _PLAIN_PATH.fullmatch(path) is None:
            return httpx.URL(f"{self._base_url}{path}")
        # httpx reads an address letter by letter, which takes longer than sending it, and offers no way
        # to put a path to what it has read already; its version is pinned to one minor.
        url = httpx.URL(self._base)
        known = self._base._uri_reference
        path, asks, query = path.partition("?")
        url._uri_reference = known._replace(path=known.path.rstrip("/") + path, query=query if asks else None)
        return url


def open_client(
    base_url: str,
    *,
    carrier: str,
    connections: int,
    auth: httpx.Auth | None = None,
    headers: Mapping[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
    look: Callable[[httpx.Response], None] = lambda answer: None,
    find_tokens: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> CarrierClient:
    """Build the client that all threads share; nothing is sent yet.

    `look` sees every answer; `find_tokens` is called before a call waits for its turn.
    """
    for name in ("httpx", "httpcore"):
        # Their lines show whole URLs, ICCIDs and all; `_tell` says the same without.
        logging.getLogger(name).setLevel(logging.WARNING)
    inner = transport or open_transport(httpx.URL(base_url), connections)
    return CarrierClient(
        base_url,
        CarrierTransport(inner, carrier, clock=clock),
        auth or httpx.Auth(),
        headers={**_HEADERS, **(headers or {})},
        look=look,
        find_tokens=find_tokens,
    )
