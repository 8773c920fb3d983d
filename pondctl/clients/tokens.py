"""Where carrier tokens are kept, so that all threads, processes and hosts use the same two."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from pondctl.models import StoredTokens


class TokenStore(Protocol):
    """Tokens of one credential. Every method may be called from any thread."""

    def load(self) -> StoredTokens:
        """What is stored now; times are the store's own, so that two hosts need not agree on a clock."""

    def save_bearer(self, bearer: str, expires_in: float) -> None:
        """Keep a bearer token that was just issued."""

    def save_session(self, session: str) -> None:
        """Keep a session that was just opened."""

    def touch_session(self) -> None:
        """The session was used just now."""

    def drop(self, *, bearer: str | None = None, session: str | None = None) -> None:
        """Forget a token, but only if the stored one is still that value."""

    def login_turn(self) -> AbstractContextManager[None]:
        """Hold the right to log in; one holder over all processes and hosts, the others wait."""

    def count_refusal(self) -> int:
        """Count one more refused login in a row; return the count."""

    def clear_refusals(self) -> None:
        """A login was accepted."""


class MemoryTokenStore:
    """Tokens of this process alone, for work without a database."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._bearer: str | None = None
        self._session: str | None = None
        self._bearer_until = self._session_used = 0.0
        self._refused = self._version = 0

    def load(self) -> StoredTokens:
        """What is kept now."""
        with self._lock:
            now = self._clock()
            return StoredTokens(
                bearer=self._bearer,
                bearer_seconds_left=self._bearer_until - now,
                session=self._session,
                session_idle_seconds=now - self._session_used,
                refused=self._refused,
                version=self._version,
            )

    def save_bearer(self, bearer: str, expires_in: float) -> None:
        """Keep a bearer token that was just issued."""
        with self._lock:
            self._bearer, self._bearer_until = bearer, self._clock() + expires_in
            self._version += 1

    def save_session(self, session: str) -> None:
        """Keep a session that was just opened."""
        with self._lock:
            self._session, self._session_used = session, self._clock()
            self._version += 1

    def touch_session(self) -> None:
        """The session was used just now."""
        with self._lock:
            self._session_used = self._clock()

    def drop(self, *, bearer: str | None = None, session: str | None = None) -> None:
        """Forget a token, but only if the kept one is still that value."""
        with self._lock:
            if bearer is not None and self._bearer == bearer:
                self._bearer = None
            if session is not None and self._session == session:
                self._session = None

    @contextmanager
    def login_turn(self) -> Iterator[None]:
        """Hold the right to log in."""
        with self._turn:
            yield

    def count_refusal(self) -> int:
        """Count one more refused login in a row; return the count."""
        with self._lock:
            self._refused += 1
            return self._refused

    def clear_refusals(self) -> None:
        """A login was accepted."""
        with self._lock:
            self._refused = 0
