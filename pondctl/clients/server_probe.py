"""Is a server there: its name, its certificate, and its clock. Sends one request without credentials."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from pondctl.clients._network import open_transport, proxy_of, within
from pondctl.clients._repeat import RepeatableError
from pondctl.clients._trouble import translate
from pondctl.errors import CarrierUnavailableError, PondctlError

_SECONDS: Final = 10.0
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`ahead_seconds`: so much is the server's clock ahead of ours; None: it did not tell."""

    addresses: int | None
    tls: str | None
    certificate_days: float | None
    ahead_seconds: float | None
    proxied: bool


def look_at(base_url: str) -> ServerFacts:
    """Raise `CarrierUnavailableError` with what is wrong: the name, the way there, or the certificate."""
    url = httpx.URL(base_url)
    proxied = proxy_of(url) is not None
    addresses = None if proxied else _addresses(url)
    tls, days = (None, None) if proxied or url.scheme != "https" else _handshake(url)
    return ServerFacts(addresses, tls, days, _clock(url), proxied)


def _addresses(url: httpx.URL) -> int:
    try:
        rows = socket.getaddrinfo(url.host, url.port or _PORTS[url.scheme], type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or "not a valid name"
        raise CarrierUnavailableError(
            f"the name {url.host} is not found: {words}", hint="check base_url, and the DNS of this machine"
        ) from None
    return len({row[4][0] for row in rows})


def _handshake(url: httpx.URL) -> tuple[str | None, float | None]:
    context = httpx.create_ssl_context()
    try:
        with (
            socket.create_connection((url.host, url.port or _PORTS[url.scheme]), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=url.host) as secure,
        ):
            ends = (secure.getpeercert() or {}).get("notAfter")
            days = (ssl.cert_time_to_seconds(str(ends)) - time.time()) / 86_400 if ends else None
            return secure.version(), days
    except ssl.SSLCertVerificationError as error:
        raise CarrierUnavailableError(
            f"the certificate of {url.host} is not accepted: {error.verify_message}",
            hint="the check cannot be turned off; SSL_CERT_FILE can name a company's own authority",
        ) from None
    except ssl.SSLError as error:
        raise CarrierUnavailableError(
            f"{url.host} does not agree on TLS: {error.reason or 'no reason given'}",
            hint="it must speak TLS 1.2 or newer; is something else listening there?",
        ) from None
    except OSError as error:
        raise _unreached(url, error.strerror or "no connection in time") from None


def _clock(url: httpx.URL) -> float | None:
    request = httpx.Request("GET", url, headers={"Accept": "*/*", "User-Agent": "pondctl"})
    request.extensions["timeout"] = httpx.Timeout(_SECONDS).as_dict()
    transport = open_transport(url, 1)
    try:
        with within(_SECONDS):
            asked = time.time()
            response = transport.handle_request(request)
            response.close()
    except httpx.HTTPError as error:
        raise _as_ours(error, request) from None
    finally:
        transport.close()
    try:
        told = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except ValueError:
        return None
    # A header tells whole seconds, of some moment while we waited.
    return told + 0.5 - (asked + time.time()) / 2


def _as_ours(error: httpx.HTTPError, request: httpx.Request) -> PondctlError:
    trouble = translate(error, request, _SECONDS, request.url.host)
    if isinstance(trouble, RepeatableError):
        return CarrierUnavailableError(trouble.message, hint="is a firewall or a proxy in between?")
    return trouble


def _unreached(url: httpx.URL, words: str) -> CarrierUnavailableError:
    return CarrierUnavailableError(
        f"{url.host} cannot be reached: {words}", hint="is a firewall or a proxy in between?"
    )
