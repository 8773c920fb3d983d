"""Tokens and pacing for those who only look: shared with everybody, unless nothing may be written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pondctl.clients.pacing import Pace
from pondctl.clients.tokens import MemoryTokenStore, TokenStore
from pondctl.errors import PermissionDeniedError
from pondctl.models import StoredTokens
from pondctl.telemetry.logger import Logger

T = TypeVar("T")
_log = Logger()


class LookingTokens:
    """The shared tokens; a login of the database that may only read keeps new ones to itself."""

    def __init__(self, shared: TokenStore) -> None:
        self._shared = shared
        self._own: MemoryTokenStore | None = None

    def load(self) -> StoredTokens:
        """What is stored now, or was when the first thing could not be stored, and what came since."""
        return (self._own or self._shared).load()

    def save_bearer(self, bearer: str, expires_in: float) -> None:
        """Keep a bearer token that was just issued."""
        self._note(lambda store: store.save_bearer(bearer, expires_in))

    def save_session(self, session: str) -> None:
        """Keep a session that was just opened."""
        self._note(lambda store: store.save_session(session))

    def touch_session(self) -> None:
        """The session was used just now."""
        self._note(lambda store: store.touch_session())

    def drop(self, *, bearer: str | None = None, session: str | None = None) -> None:
        """Forget a token, but only if the stored one is still that value."""
        self._note(lambda store: store.drop(bearer=bearer, session=session))

    @contextmanager
    def login_turn(self) -> Iterator[None]:
        """Hold the right to log in."""
        turn = self._shared.login_turn()
        if self._own is None:
            try:
                turn.__enter__()
            except PermissionDeniedError as error:
                self._go_alone(error)
        if self._own is not None:
            turn = self._own.login_turn()
            turn.__enter__()
        try:
            yield
        finally:
            turn.__exit__(None, None, None)

    def count_refusal(self) -> int:
        """Count one more refused login in a row; return the count."""
        return self._note(lambda store: store.count_refusal())

    def clear_refusals(self) -> None:
        """A login was accepted."""
        self._note(lambda store: store.clear_refusals())

    def _note(self, work: Callable[[TokenStore], T]) -> T:
        if self._own is None:
            try:
                return work(self._shared)
            except PermissionDeniedError as error:
                self._go_alone(error)
        return work(self._own or self._shared)

    def _go_alone(self, error: PermissionDeniedError) -> None:
        known, own = self._shared.load(), MemoryTokenStore()
        if known.bearer is not None:
            own.save_bearer(known.bearer, known.bearer_seconds_left)
        if known.session is not None:
            own.save_session(known.session)
        for _ in range(known.refused):
            own.count_refusal()
        self._own = own
        _log.info("tokens are kept by this process alone", error=error.message)


class LookingPace:
    """The shared pace; where that cannot be written down, the rate of this process alone."""

    def __init__(self, shared: Pace, own: Pace) -> None:
        self._pace = shared
        self._own = own

    def wait(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Return when one more call is allowed, or when the run is to stop."""
        try:
            self._pace.wait(prepare)
        except PermissionDeniedError:
            self._pace = self._own
            self._pace.wait(prepare)

    def throttled(self, retry_after: float | None) -> None:
        """The carrier said: too many."""
        try:
            self._pace.throttled(retry_after)
        except PermissionDeniedError:
            self._pace = self._own
            self._pace.throttled(retry_after)
