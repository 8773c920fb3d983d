"""What httpx raises and what a status means, in our words.

Those of httpx can hold header values, URLs and bytes of an answer.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx

from pondctl.clients._repeat import RepeatableError, retry_after
from pondctl.errors import CarrierUnavailableError, Category, ConfigurationError, PondctlError

# A proxy that refuses does so at CONNECT, before anything was sent to the carrier.
_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_TOO_OLD = {
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "WRONG_SSL_VERSION",
    "WRONG_VERSION_NUMBER",
}
_MULTIPLE_CHOICES, _BAD_REQUEST, _REQUEST_TIMEOUT, _TOO_MANY_REQUESTS = 300, 400, 408, 429
_SERVER_ERROR = 500
_NOT_SENDABLE = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)


def check_status(response: httpx.Response, carrier: str) -> None:
    """Raise for an answer that says nothing about what was asked: 3xx, 408, 429 and 5xx."""
    status = response.status_code
    if _MULTIPLE_CHOICES <= status < _BAD_REQUEST:
        raise RepeatableError(
            f"{carrier} answered with a redirect (HTTP {status}), which is never followed",
            category=Category.CARRIER_REJECTED,
            attempts=1,
        )
    if status == _TOO_MANY_REQUESTS:
        raise RepeatableError(
            f"{carrier} answered HTTP 429, too many requests",
            category=Category.RATE_LIMITED,
            retry_after=retry_after(response.headers),
            unreached=True,
        )
    if status == _REQUEST_TIMEOUT or status >= _SERVER_ERROR:
        raise RepeatableError(
            f"{carrier} answered HTTP {status}",
            category=Category.CARRIER_UNAVAILABLE,
            retry_after=retry_after(response.headers),
        )


def translate(error: httpx.HTTPError, request: httpx.Request, seconds: float, carrier: str) -> PondctlError:
    """Return the error that a failed exchange means."""
    host = request.url.host
    refused = tls_refusal(error, host)
    if refused is not None:
        return CarrierUnavailableError(
            refused, hint="The check cannot be turned off. SSL_CERT_FILE can name a company's own authority."
        )
    if isinstance(error, _NOT_SENDABLE):
        return ConfigurationError(
            f"The request to {host} cannot be sent: the address or a header is not valid HTTP",
            hint=f"Look for line breaks and other odd characters in the settings of {carrier}.",
        )
    # A token request on the way to the real one may have failed: then the real one was never sent.
    other = (
        isinstance(error, httpx.RequestError) and error._request is not None and error.request is not request
    )
    return RepeatableError(
        f"{carrier}: {_words(error, seconds)}",
        category=Category.NETWORK,
        unreached=other or isinstance(error, _NOT_CONNECTED),
    )


def _words(error: httpx.HTTPError, seconds: float) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return f"no whole answer within {seconds:.1f} s"
    if isinstance(error, httpx.ProxyError):
        status = str(error)[:3]
        return "no connection (the proxy refuses it" + (f", HTTP {status})" if status.isdecimal() else ")")
    if isinstance(error, httpx.ConnectError):
        return f"no connection ({_system_words(error)})"
    return "the connection broke off, or the answer is no HTTP"


def _system_words(error: BaseException) -> str:
    words = [cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    return words[-1] if words else "no reason given"


def tls_refusal(error: BaseException, host: str) -> str | None:
    """Why the other side is not trusted, where that is what went wrong; asking again does not help."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The certificate of {host} is not accepted: {cause.verify_message}"
        # urllib3 under boto3 compares the names by itself.
        if type(cause).__name__ == "CertificateError":
            return f"The certificate of {host} is not accepted: Hostname mismatch"
        if isinstance(cause, ssl.SSLError) and cause.reason in _TOO_OLD:
            return f"{host} speaks no TLS that is accepted (1.2 or newer)"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        # httpcore hides the cause of what its pool raises; the context is still there.
        cause = cause.__cause__ or cause.__context__
