"""The two tokens of ThingSpace: a bearer with a fixed end, and a session that ends when it is not used."""

from __future__ import annotations

import random
import uuid
from urllib.parse import parse_qs

from pondctl.sandbox.clock import Clock
from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.thingspace.bodies import read_object, text_field
from pondctl.sandbox.thingspace.errors import (
    LOGIN_LOCKED,
    PASSWORD_INVALID,
    api_error,
    gateway_fault,
    oauth_error,
    xml_fault,
)
from pondctl.sandbox.wire import Answer, Call, json_answer

_FORM = "application/x-www-form-urlencoded"


class Tokens:
    """Issues and checks tokens. `failed_logins` counts refusals in a row; `locked` stays until `unlock`."""

    def __init__(self, config: SandboxConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._random = random.Random(f"tokens {config.seed}")
        self._bearer: tuple[str, float] | None = None
        self._sessions: dict[str, float] = {}
        self.failed_logins = 0
        self.locked = False

    def token(self, call: Call) -> Answer:
        """Within its hour the same bearer again, with less time left."""
        self._check_client(call)
        form = _form(call)
        if form.get("grant_type") != ["client_credentials"]:
            raise oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
        if self._bearer is None or self._bearer[1] <= call.now:
            self._bearer = (self._mint(), call.now + self._config.bearer_seconds)
        token, end = self._bearer
        seconds = max(1, int(end - call.now))
        body = {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": "sandbox"}
        return json_answer(body)

    def revoke(self, call: Call) -> Answer:
        """The next token request mints a new bearer."""
        self._check_client(call)
        token = _form(call).get("token")
        if not token:
            raise oauth_error(400, "invalid_request", "token is missing")
        if self._bearer and self._bearer[0] == token[0]:
            self._bearer = None
        return Answer(200)

    def login(self, call: Call) -> Answer:
        """A session for user and password; too many refusals in a row lock the user."""
        body = read_object(call, characters_checked=False)
        username, password = text_field(body, "username"), text_field(body, "password")
        if self.locked:
            raise api_error(LOGIN_LOCKED, "The contact record is locked")
        if (username, password) != (self._config.username, self._config.password):
            self.failed_logins += 1
            self.locked = self.failed_logins >= self._config.lock_after
            raise api_error(PASSWORD_INVALID, "The user name or the password is not valid")
        self.failed_logins = 0
        if self._config.login_ends_session:
            self._sessions.clear()
        session = self._mint()
        self._sessions[session] = call.now
        return json_answer({"sessionToken": session})

    def logout(self, call: Call) -> Answer:
        """End the session of this call."""
        session = call.headers["vz-m2m-token"]
        del self._sessions[session]
        return json_answer({"sessionToken": session})

    def check_bearer(self, call: Call) -> None:
        """What the gateway does first on every call but the token's own."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if not token:
            raise gateway_fault(
                401, "900902", "Missing Credentials", "Required OAuth credentials not provided"
            )
        if scheme.lower() != "bearer":
            raise xml_fault(403, "404", "Forbidden", "Wrong kind of authentication")
        bearer, end = self._bearer or ("", 0.0)
        if token.strip() != bearer or end <= call.now:
            raise gateway_fault(
                401, "900901", "Invalid Credentials", "Access failure: invalid or expired token"
            )

    def check_both(self, call: Call) -> None:
        """Bearer, then session; using the session keeps it alive."""
        self.check_bearer(call)
        session = call.headers.get("vz-m2m-token", "")
        if not session:
            raise api_error("REQUEST_FAILED.SessionToken.Format", "The session token is missing")
        used = self._sessions.get(session)
        if used is None:
            raise api_error("INPUT_INVALID.SessionToken.Invalid", "The session token is not valid")
        if call.now - used > self._config.session_idle_seconds:
            raise api_error("REQUEST_FAILED.SessionToken.Expired", "The session has expired")
        self._sessions[session] = call.now

    def expire_bearer(self) -> None:
        """Make the bearer over, as if its hour had passed."""
        self._bearer = None

    def expire_sessions(self) -> None:
        """Make all sessions over, as if nobody had used them for too long."""
        self._sessions = dict.fromkeys(self._sessions, float("-inf"))

    def unlock(self) -> None:
        """What Verizon's support does on the telephone."""
        self.locked = False
        self.failed_logins = 0

    def _check_client(self, call: Call) -> None:
        expected = f"{self._config.client_id}:{self._config.client_secret}"
        if call.basic_credentials() != expected:
            raise oauth_error(401, "invalid_client", "Client authentication failed")

    def _mint(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def _form(call: Call) -> dict[str, list[str]]:
    if call.content_type != _FORM:
        raise oauth_error(400, "invalid_request", f"the content type must be {_FORM}")
    return parse_qs(call.body.decode("utf-8", "replace"))
