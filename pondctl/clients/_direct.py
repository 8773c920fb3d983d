"""HTTP/1.1 straight to one carrier, for many threads at once.

httpcore looks at every connection of its pool on every request, which sixty-four threads pay for with
half of all they do. Here a thread takes the connection that was used last, speaks, and puts it back.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import h11
import httpcore
import httpx

KEEPALIVE_SECONDS: Final = 30.0
_CHUNK: Final = 64 * 1024
_LARGEST_HEAD: Final = 100 * 1024
_PORTS: Final = {"http": 80, "https": 443}
_ERRORS: Final[dict[type[Exception], type[httpx.TransportError]]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    h11.RemoteProtocolError: httpx.RemoteProtocolError,
    h11.LocalProtocolError: httpx.LocalProtocolError,
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

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the head of the answer. Closing the answer gives the connection back."""
        with _as_httpx_errors():
            connection = self._kept(request.url) or self._opened(request)
            try:
                head = connection.exchange(request)
            except BaseException:
                connection.close()
                raise
        body = _Body(connection, self)
        return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=body)

    def give_back(self, connection: _Connection) -> None:
        """Keep a connection whose answer was read whole; close any other."""
        if connection.rest() and len(self._idle) < self._connections:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self, url: httpx.URL) -> _Connection | None:
        with suppress(IndexError):
            while connection := self._idle.pop():
                if connection.is_usable(url):
                    return connection
                connection.close()
        return None

    def _opened(self, request: httpx.Request) -> _Connection:
        url, seconds = request.url, request.extensions["timeout"]["connect"]
        host = url.raw_host.decode("ascii")
        stream = self._backend.connect_tcp(host, url.port or _PORTS[url.scheme], seconds)
        if url.scheme == "https":
            stream = stream.start_tls(self._context, host, seconds)
        return _Connection(stream, url)


class _Connection:
    """One connection; h11 holds both sides to the protocol."""

    def __init__(self, stream: httpcore.NetworkStream, url: httpx.URL) -> None:
        self._stream = stream
        self._origin = _origin(url)
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._read_seconds: float | None = None
        self._rests_since = 0.0

    def exchange(self, request: httpx.Request) -> h11.Response:
        """Send the request and return the head of the answer."""
        seconds = request.extensions["timeout"]
        self._read_seconds = seconds["read"]
        # A carrier may refuse before it has read all; its answer then tells more than the broken pipe.
        with suppress(httpcore.WriteError):
            self._stream.write(self._message(request), seconds["write"])
        while True:
            event = self._next_event()
            if isinstance(event, h11.Response):
                return event

    def read_body(self) -> Iterator[bytes]:
        """The rest of the answer, as it comes in."""
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)

    def is_usable(self, url: httpx.URL) -> bool:
        """Whether it goes there, has not rested too long, and the other side has said nothing (goodbye)."""
        rested = time.monotonic() - self._rests_since
        readable = self._stream.get_extra_info("is_readable")
        return self._origin == _origin(url) and rested < KEEPALIVE_SECONDS and not readable

    def rest(self) -> bool:
        """Be ready for another request; False where that cannot be."""
        if not (self._protocol.our_state is self._protocol.their_state is h11.DONE):
            return False
        self._protocol.start_next_cycle()
        self._rests_since = time.monotonic()
        return not self._protocol.trailing_data[0]

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def _message(self, request: httpx.Request) -> bytes:
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        parts = (head, h11.Data(data=request.read()), h11.EndOfMessage())
        return b"".join(self._protocol.send(part) or b"" for part in parts)

    def _next_event(self) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(self._stream.read(_CHUNK, self._read_seconds))
        return event


class _Body(httpx.SyncByteStream):
    def __init__(self, connection: _Connection, transport: DirectTransport) -> None:
        self._connection = connection
        self._transport = transport

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx_errors():
            yield from self._connection.read_body()

    def close(self) -> None:
        self._transport.give_back(self._connection)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    try:
        yield
    except tuple(_ERRORS) as error:
        raise _ERRORS[type(error)](str(error)) from error
