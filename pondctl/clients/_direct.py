"""HTTP/1.1 straight to one carrier, for many threads at once.

httpcore looks at every connection of its pool on every request, which sixty-four threads pay for with
half of all they do. Here a thread takes the connection that was used last, speaks, and puts it back.
"""

from __future__ import annotations

import math
import re
import ssl
import time
from collections import deque
from contextlib import suppress
from threading import get_ident
from typing import Final

import httpcore
import httpx

from pondctl.clients._answer import Answer

KEEPALIVE_SECONDS: Final = 30.0
# A connection that was prepared is used at once where no turn has to be waited for.
_LOOKED_JUST_NOW_SECONDS: Final = 0.05
_CHUNK: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}
# What would end a header line, or mean something else to each reader of it.
_UNSENDABLE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ERRORS: Final[dict[type[Exception], type[httpx.TransportError]]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
}


class DirectTransport(httpx.BaseTransport):
    """Keeps up to `connections` idle connections; opens as many as threads ask at once."""

    def __init__(self, backend: httpcore.NetworkBackend, context: ssl.SSLContext, connections: int) -> None:
        self._backend = backend
        self._context = context
        self._context.set_alpn_protocols(["http/1.1"])
        self._connections = connections
        # Taking and putting back need no lock. The one used last is the least likely to be closed by now.
        self._idle: deque[_Connection] = deque()
        # What `prepare` found for the next request of each thread.
        self._prepared: dict[int, _Connection | Exception] = {}

    def prepare(self, url: httpx.URL, seconds: float) -> None:
        """Have a connection ready for this thread's next request; what goes wrong, that request raises."""
        prepared = self._prepared.get(get_ident())
        if isinstance(prepared, _Connection):
            if prepared.is_usable(url):
                return
            prepared.close()
        try:
            self._prepared[get_ident()] = self._kept(url) or self._opened(url, seconds)
        except Exception as error:
            self._prepared[get_ident()] = error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the whole answer; a packed body (Content-Encoding) is left to be unpacked."""
        try:
            connection = self._connection(request)
            try:
                answer = connection.exchange(request)
            except BaseException:
                connection.close()
                raise
        except tuple(_ERRORS) as error:
            raise _ERRORS[type(error)](str(error)) from error
        self._give_back(connection, answer)
        return answer.response()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()
        while self._prepared:
            if isinstance(prepared := self._prepared.popitem()[1], _Connection):
                prepared.close()

    def _connection(self, request: httpx.Request) -> _Connection:
        prepared = self._prepared.pop(get_ident(), None)
        if isinstance(prepared, Exception):
            raise prepared
        if prepared is not None:
            if prepared.is_usable(request.url):
                return prepared
            prepared.close()
        return self._kept(request.url) or self._opened(request.url, request.extensions["timeout"]["connect"])

    def _give_back(self, connection: _Connection, answer: Answer) -> None:
        if answer.keeps_connection and len(self._idle) < self._connections:
            connection.rest()
            self._idle.append(connection)
        else:
            connection.close()

    def _kept(self, url: httpx.URL) -> _Connection | None:
        with suppress(IndexError):
            while connection := self._idle.pop():
                if connection.is_usable(url):
                    return connection
                connection.close()
        return None

    def _opened(self, url: httpx.URL, seconds: float) -> _Connection:
        host = url.raw_host.decode("ascii")
        stream = self._backend.connect_tcp(host, url.port or _PORTS[url.scheme], seconds)
        if url.scheme == "https":
            stream = stream.start_tls(self._context, host, seconds)
        return _Connection(stream, url)


class _Connection:
    """One connection, for one exchange at a time."""

    def __init__(self, stream: httpcore.NetworkStream, url: httpx.URL) -> None:
        self._stream = stream
        self._origin = _origin(url)
        self._rests_since = self._looked_at = time.monotonic()

    def exchange(self, request: httpx.Request) -> Answer:
        """Send the request and read the answer to its end."""
        seconds = request.extensions["timeout"]
        message = _message(request)
        # A carrier may refuse before it has read all; its answer then tells more than the broken pipe.
        with suppress(httpcore.WriteError):
            self._stream.write(message, seconds["write"])
        answer = Answer()
        try:
            while not answer.is_whole:
                answer.take(self._stream.read(_CHUNK, seconds["read"]))
        finally:
            answer.forget_parser()
        return answer

    def rest(self) -> None:
        """It is nobody's for a while."""
        self._rests_since, self._looked_at = time.monotonic(), -math.inf

    def is_usable(self, url: httpx.URL) -> bool:
        """Whether it goes there, has not rested too long, and the other side has said nothing (goodbye)."""
        now = time.monotonic()
        if now - self._looked_at < _LOOKED_JUST_NOW_SECONDS:
            return self._origin == _origin(url)
        self._looked_at, rested = now, now - self._rests_since
        readable = self._stream.get_extra_info("is_readable")
        return self._origin == _origin(url) and rested < KEEPALIVE_SECONDS and not readable

    def close(self) -> None:
        """Close it."""
        self._stream.close()


def _message(request: httpx.Request) -> bytes:
    target, headers = request.url.raw_path, request.headers.raw
    if any(_UNSENDABLE.search(name + value) for name, value in headers):
        raise httpx.LocalProtocolError("a header has characters that no header can carry")
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), target)]
    lines += [b"%s: %s" % pair for pair in headers]
    return b"\r\n".join((*lines, b"", request.read()))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
