"""ThingSpace's two tokens on every call: one of each for all threads, processes and hosts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import httpx

from pondctl.clients import _thingspace_login as login
from pondctl.clients._repeat import RepeatableError
from pondctl.clients._thingspace_bodies import BEARER, stale_in_a_call, stale_token
from pondctl.clients._turn import Turn
from pondctl.clients.tokens import TokenStore
from pondctl.errors import AuthenticationError, Category, ConfigurationError
from pondctl.models import StoredTokens
from pondctl.telemetry import metrics
from pondctl.telemetry.redact import register_secret

# A bearer is renewed when it has so little left, a session when it was idle for so long (ThingSpace
# ends it after 20 minutes).
_EARLY_SECONDS = 60.0
_IDLE_SECONDS = 15 * 60.0
_TOUCH_SECONDS = 60.0
# Five refused logins in a row lock the user; three are left to people.
MOST_REFUSALS = 2
_MOST_REPLAYS = 4

T = TypeVar("T")
# Each yields the requests it needs, is sent their answers, and returns what came of them.
_Flow = Generator[httpx.Request, httpx.Response, T]


@dataclass(slots=True, eq=False)
class _Tokens:
    """One pair; `worked` once a call with it was answered."""

    bearer: str
    renew_at: float
    session: str
    worked: bool = False


class _Unwell(Exception):  # noqa: N818 - it leaves the flow, it is no error to anybody
    """A token endpoint gave no usable answer; the retry layer gets that answer and repeats the whole."""


class ThingSpaceAuth(httpx.Auth):
    """Puts both tokens on a request, fetches them where needed, and replays once for each stale one.

    It replays again, a few times, where the newer tokens had worked meanwhile: with many threads one
    can end while another's replay is on its way. Tokens that never worked are refused, not stale.

    A refused login is never repeated: not by this object, not by another process with the same
    credential (`TokenStore` counts), and after two refusals not at all until a person changes it.
    """

    requires_response_body = True

    def __init__(
        self,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        username: str,
        password: str,
        tokens: TokenStore,
        wait_turn: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._credential = login.Credential(client_id, client_secret, username, password)
        self._store = tokens
        self._wait_turn = wait_turn
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: _Tokens | None = None
        self._looked = False
        self._used_at = self._touched_at = self._failed_at = float("-inf")
        self._refusal: AuthenticationError | ConfigurationError | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with tokens that should hold, and again for each kind that did not."""
        turn = Turn(self._wait_turn, self._clock)
        replayed: Counter[str] = Counter()
        try:
            while True:
                tokens = yield from self._usable(request, turn)
                request.headers["Authorization"] = f"Bearer {tokens.bearer}"
                request.headers["VZ-M2M-Token"] = tokens.session
                turn.take()
                response = yield request
                stale = stale_in_a_call(response)
                if stale is None:
                    tokens.worked = tokens.worked or response.is_success
                    self._note_use()
                    return
                if replayed[stale] >= (_MOST_REPLAYS if tokens.worked else 1):
                    return
                replayed[stale] += 1
                self._drop(stale, tokens)
        except _Unwell:
            return

    def find_tokens(self) -> None:
        """Take over what another process stored, before the first call's turn comes."""
        if self._looked:
            return
        with self._lock:
            if not self._looked:
                self._looked = True
                self._adopt(self._store.load())

    def _usable(self, request: httpx.Request, turn: Turn) -> _Flow[_Tokens]:
        asked_at = self._clock()
        tokens = self._tokens
        if tokens is not None and self._holds(tokens):
            return tokens
        with self._lock:
            tokens = self._tokens
            if tokens is None or not self._holds(tokens):
                self._refuse_again(asked_at)
                tokens = yield from self._renewed(request, turn)
        return tokens

    def _holds(self, tokens: _Tokens) -> bool:
        now = self._clock()
        return now < tokens.renew_at and now - self._used_at < _IDLE_SECONDS

    def _refuse_again(self, asked_at: float) -> None:
        if self._refusal is not None:
            raise type(self._refusal)(self._refusal.message, hint=self._refusal.hint)
        if self._failed_at > asked_at:
            # Sixty-four threads that waited for one failed request must not repeat it one by one.
            raise RepeatableError(
                "ThingSpace gave no tokens just now", category=Category.CARRIER_UNAVAILABLE, counts=False
            )

    def _renewed(self, request: httpx.Request, turn: Turn) -> _Flow[_Tokens]:
        """Take over the tokens that another process stored, else fetch what is missing."""
        if self._adopt(self._store.load()) is None:
            with self._store.login_turn():
                stored = self._store.load()
                if self._adopt(stored) is None:
                    yield from self._fetched(request, turn, stored)
        assert self._tokens is not None
        return self._tokens

    def _adopt(self, stored: StoredTokens) -> _Tokens | None:
        bearer, session = _lasting_bearer(stored), _lasting_session(stored)
        if bearer is None or session is None:
            return None
        return self._keep(bearer, stored.bearer_seconds_left, session, stored.session_idle_seconds)

    def _keep(self, bearer: str, seconds_left: float, session: str, idle_seconds: float) -> _Tokens:
        for token in (bearer, session):
            register_secret(token, lasting=False)
        now = self._clock()
        self._used_at = self._touched_at = now - idle_seconds
        # Inside its hour a bearer is issued again with what is left: a short one is used up in halves.
        renew_at = now + max(seconds_left - _EARLY_SECONDS, seconds_left / 2)
        self._tokens = _Tokens(bearer, renew_at, session)
        return self._tokens

    def _fetched(self, request: httpx.Request, turn: Turn, stored: StoredTokens) -> _Flow[None]:
        complete = False
        try:
            bearer, seconds_left = _lasting_bearer(stored), stored.bearer_seconds_left
            if bearer is None:
                bearer, seconds_left = yield from self._new_bearer(request, turn)
            session, idle = _lasting_session(stored), stored.session_idle_seconds
            if session is None:
                bearer, seconds_left, session = yield from self._new_session(
                    request, turn, bearer, seconds_left, stored.refused
                )
                idle = 0.0
            self._keep(bearer, seconds_left, session, idle)
            complete = True
        except (AuthenticationError, ConfigurationError) as error:
            self._refusal = error
            raise
        finally:
            # Also when the connection broke: httpx then closes this generator.
            if not complete:
                self._failed_at = self._clock()

    def _new_bearer(self, request: httpx.Request, turn: Turn) -> _Flow[tuple[str, float]]:
        turn.take()
        response = yield login.token_request(self._base_url, self._credential, request)
        if login.is_unwell(response):
            raise _Unwell
        bearer, seconds_left = login.read_bearer(response, self._base_url)
        register_secret(bearer, lasting=False)
        self._store.save_bearer(bearer, seconds_left)
        return bearer, seconds_left

    def _new_session(
        self, request: httpx.Request, turn: Turn, bearer: str, seconds_left: float, refused: int
    ) -> _Flow[tuple[str, float, str]]:
        if refused >= MOST_REFUSALS:
            raise login.locked_out(refused)
        response = yield from self._login(request, turn, bearer)
        if stale_token(response) == BEARER:
            # Says nothing about the password.
            self._store.drop(bearer=bearer)
            bearer, seconds_left = yield from self._new_bearer(request, turn)
            response = yield from self._login(request, turn, bearer)
        try:
            session = login.read_session(response, self._base_url)
        except login.RefusedLoginError as error:
            metrics.count("pondctl_refused_logins_total", carrier="thingspace")
            raise login.refused(error.message, self._store.count_refusal()) from None
        self._store.save_session(session)
        self._store.clear_refusals()
        return bearer, seconds_left, session

    def _login(self, request: httpx.Request, turn: Turn, bearer: str) -> _Flow[httpx.Response]:
        turn.take()
        response = yield login.login_request(self._base_url, self._credential, bearer, request)
        if login.is_unwell(response):
            raise _Unwell
        return response

    def _note_use(self) -> None:
        self._used_at = now = self._clock()
        if now - self._touched_at >= _TOUCH_SECONDS:
            self._touched_at = now
            self._store.touch_session()

    def _drop(self, kind: str, tokens: _Tokens) -> None:
        # The store first, and nobody in between: a thread that finds no tokens here takes the store's.
        with self._lock:
            if kind == BEARER:
                self._store.drop(bearer=tokens.bearer)
            else:
                self._store.drop(session=tokens.session)
            if self._tokens is tokens:
                self._tokens = None


def _lasting_bearer(stored: StoredTokens) -> str | None:
    return stored.bearer if stored.bearer_seconds_left > _EARLY_SECONDS else None


def _lasting_session(stored: StoredTokens) -> str | None:
    return stored.session if stored.session_idle_seconds < _IDLE_SECONDS else None
