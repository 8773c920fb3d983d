"""Connections that end on time, whatever the other side does.

httpx bounds each single read; a server that sends one byte a second outlives every such bound. Here
one deadline holds for all that a thread does on the wire for one HTTP call: finding the address,
connecting, TLS, sending, status line, headers and body.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from pondctl.clients._direct import KEEPALIVE_SECONDS, DirectTransport
from pondctl.errors import ConfigurationError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)

_Addresses = list[str]
# `socket.getaddrinfo`, or a stand-in.
_Finder = Callable[..., Iterable[tuple[object, object, object, object, tuple[object, ...]]]]
_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let everything this thread does on the wire in this block end after `seconds`."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    """The shorter of this step's timeout and what the call as a whole has left."""
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the call's time is over")
    return left if timeout is None else min(timeout, left)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self, find: _Finder) -> None:
        self._inner = httpcore.SyncBackend()
        self._find = find

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in self._addresses(host, port, _left(timeout, httpcore.ConnectTimeout)):
            try:
                left = _left(timeout, httpcore.ConnectTimeout)
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = failure or error
            else:
                return _DeadlineStream(stream)
        raise failure or httpcore.ConnectError("the host name has no address")

    def _addresses(self, host: str, port: int, seconds: float | None) -> _Addresses:
        """Look the host up; the system's own lookup knows no timeout and may take half a minute."""
        found: SimpleQueue[_Addresses | Exception] = SimpleQueue()
        threading.Thread(target=self._look_up, args=(host, port, found.put), daemon=True).start()
        try:
            result = found.get(timeout=seconds)
        except Empty:
            raise httpcore.ConnectTimeout("the host name was not found in time") from None
        if isinstance(result, Exception):
            raise httpcore.ConnectError(str(result)) from result
        return result

    def _look_up(self, host: str, port: int, put: Callable[[_Addresses | Exception], None]) -> None:
        try:
            rows = self._find(host, port, type=socket.SOCK_STREAM)
            put(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:
            put(error)


class _ProxyTransport(httpx.HTTPTransport):
    def __init__(self, pool: httpcore.HTTPProxy, context: ssl.SSLContext) -> None:
        super().__init__(verify=context)
        # httpx has no argument for the network backend; its version is pinned to one minor.
        self._pool = pool


def open_transport(
    base_url: httpx.URL, connections: int, *, find: _Finder = socket.getaddrinfo
) -> httpx.BaseTransport:
    """Build the transport for one carrier: certificates are always checked.

    `SSL_CERT_FILE` can add a company's own authority, `HTTPS_PROXY` and `NO_PROXY` are obeyed; nothing
    can turn the check off.
    """
    # Reading the authorities costs a tenth of a second; a loopback address without TLS needs none.
    encrypted = base_url.scheme == "https"
    context = httpx.create_ssl_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    backend, proxy = _DeadlineBackend(find), proxy_of(base_url)
    if proxy is None:
        return DirectTransport(backend, context, connections)
    pool = httpcore.HTTPProxy(
        proxy_url=httpcore.URL(
            scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target="/"
        ),
        proxy_auth=proxy.raw_auth,
        ssl_context=context,
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=KEEPALIVE_SECONDS,
        network_backend=backend,
    )
    return _ProxyTransport(pool, context)


def proxy_of(base_url: httpx.URL) -> httpx.Proxy | None:
    address = getproxies().get(base_url.scheme)
    if not address or base_url.host in _LOOPBACK or proxy_bypass(base_url.host):
        return None
    try:
        return httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL):
        # Their words repeat the address, and with it a password.
        raise ConfigurationError(
            f"the proxy of {base_url.scheme.upper()}_PROXY is no address of a proxy that can be used",
            hint="http://HOST:PORT, with USER:PASSWORD@ before the host where the proxy asks for them",
        ) from None
