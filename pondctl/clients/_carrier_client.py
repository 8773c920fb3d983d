"""Builds the requests to one carrier, and sends them through its authorisation."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from pondctl import __version__
from pondctl.clients._network import open_transport
from pondctl.clients._transport import CarrierTransport

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"pondctl/{__version__}",
}
# Nothing in it that would have to be encoded, or that means a step up.
_PLAIN_PATH: Final = re.compile(r"(?:/[\w-]+)+(?:\?[\w=&-]*)?", re.ASCII)
# As httpx writes a body.
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


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
