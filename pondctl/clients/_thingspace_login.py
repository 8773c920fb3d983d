"""The two requests that fetch tokens, and what their answers mean. No state, no waiting."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import Final

import httpx

from pondctl.clients._repeat import RepeatableError
from pondctl.clients._thingspace_bodies import NOT_JSON, body_of, complaint_in
from pondctl.clients._thingspace_errors import wrong_address
from pondctl.errors import AuthenticationError, Category, PondctlError

TOKEN_PATH: Final = "/ts/v1/oauth2/token"
LOGIN_PATH: Final = "/m2m/v1/session/login"
# Verizon's own page promises the field; the SDK calls it optional.
_UNTOLD_LIFETIME: Final = 300.0
_LONGEST_LIFETIME: Final = 86400.0
_OK, _NOT_FOUND, _TOO_MANY_REQUESTS, _REQUEST_TIMEOUT, _SERVER_ERROR = range(200, 300), 404, 429, 408, 500
_REDIRECTS: Final = range(300, 400)


class RefusedLoginError(AuthenticationError):
    """ThingSpace refused the username or the password; it counts towards the lockout."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What tokens are fetched with; never shown."""

    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)


def token_request(base_url: str, credential: Credential, like: httpx.Request) -> httpx.Request:
    """Ask for a bearer token, with the same timeouts as the request on whose way it lies."""
    pair = f"{credential.client_id}:{credential.client_secret}".encode()
    return httpx.Request(
        "POST",
        base_url + TOKEN_PATH,
        headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}", **_common_headers(like)},
        data={"grant_type": "client_credentials"},
        extensions={**like.extensions, "endpoint": TOKEN_PATH},
    )


def login_request(base_url: str, credential: Credential, bearer: str, like: httpx.Request) -> httpx.Request:
    """Open a session."""
    return httpx.Request(
        "POST",
        base_url + LOGIN_PATH,
        headers={"Authorization": f"Bearer {bearer}", **_common_headers(like)},
        json={"username": credential.username, "password": credential.password},
        extensions={**like.extensions, "endpoint": LOGIN_PATH},
    )


def is_unwell(response: httpx.Response) -> bool:
    """Whether the answer says nothing about a credential; the retry layer knows what to do with it."""
    status = response.status_code
    return status >= _SERVER_ERROR or status in _REDIRECTS or status in (_TOO_MANY_REQUESTS, _REQUEST_TIMEOUT)


def read_bearer(response: httpx.Response, base_url: str) -> tuple[str, float]:
    """Return the bearer token and the seconds it lives."""
    body = body_of(response)
    complaint = complaint_in(body)
    if response.status_code == _NOT_FOUND or (complaint is not None and complaint.code == "900906"):
        raise wrong_address(base_url)
    if complaint is not None or response.status_code not in _OK:
        word = complaint.code if complaint is not None else f"HTTP {response.status_code}"
        raise AuthenticationError(
            f"ThingSpace refuses the client credentials: {word}",
            hint="Look at thingspace.client_id and thingspace.client_secret (from Key Management).",
        )
    token = body.get("access_token") if isinstance(body, dict) else None
    return _token(token), _lifetime(body)


def read_session(response: httpx.Response, base_url: str) -> str:
    """Return the session token; raises `RefusedLoginError` for every clear refusal."""
    body = body_of(response)
    complaint = complaint_in(body)
    if complaint is None and response.status_code in _OK:
        return _token(body.get("sessionToken") if isinstance(body, dict) else None)
    if complaint is not None and complaint.about_bearer:
        raise AuthenticationError(
            f"ThingSpace's gateway refuses a bearer token that it has just issued: fault {complaint.code}"
        )
    if response.status_code == _NOT_FOUND and (complaint is None or body is NOT_JSON):
        raise wrong_address(base_url)
    raise RefusedLoginError(complaint.code if complaint is not None else f"HTTP {response.status_code}")


def refused(word: str, count: int) -> PondctlError:
    """The error for a login that was refused, with the strikes so far."""
    times = "once" if count == 1 else f"{count} times in a row"
    return AuthenticationError(
        f"ThingSpace refuses the login ({word}); it was refused {times}",
        hint=_LOCKOUT_HINT,
    )


def locked_out(count: int) -> PondctlError:
    """The error for a login that is not tried, because the last ones were refused."""
    return AuthenticationError(
        f"ThingSpace refused the last {count} logins, so pondctl does not try another one by itself",
        hint=_LOCKOUT_HINT,
    )


_LOCKOUT_HINT: Final = (
    "Five refusals in a row lock the user, and only Verizon support unlocks it. Correct thingspace.username "
    "and thingspace.password; with another credential the count starts anew. Where the cause was another "
    "one and is mended, `pondctl doctor --reset-lockout` (role admin) lets pondctl try again."
)


def _common_headers(like: httpx.Request) -> dict[str, str]:
    return {"Accept": "application/json", "User-Agent": like.headers.get("user-agent", "pondctl")}


def _token(value: object) -> str:
    # It becomes a header: anything but plain visible characters is no token.
    if isinstance(value, str) and value and all("!" <= char <= "~" for char in value):
        return value
    raise RepeatableError(
        "ThingSpace answered a request for a token without one", category=Category.CARRIER_UNAVAILABLE
    )


def _lifetime(body: object) -> float:
    value = body.get("expires_in") if isinstance(body, dict) else None
    try:
        seconds = float(value) if isinstance(value, str | int | float) else _UNTOLD_LIFETIME
    except (ValueError, OverflowError):
        return _UNTOLD_LIFETIME
    return min(_LONGEST_LIFETIME, max(0.0, seconds)) if math.isfinite(seconds) else _UNTOLD_LIFETIME
