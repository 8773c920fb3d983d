"""The shared tokens for who only looks: used where they are, and never a login that goes uncounted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from pondctl.clients.tokens import TokenStore
from pondctl.errors import PermissionDeniedError
from pondctl.models import StoredTokens


class LoginNotTriedError(PermissionDeniedError):
    """A login could not be counted if it were refused; five of those lock the user."""


class LookingTokenStore:
    """A `TokenStore` that works on a database login that may only read, as long as tokens are there."""

    def __init__(self, inner: TokenStore) -> None:
        self._inner = inner

    def load(self) -> StoredTokens:
        """What is stored now."""
        return self._inner.load()

    def save_bearer(self, bearer: str, expires_in: float) -> None:
        """Share it with all."""
        self._inner.save_bearer(bearer, expires_in)

    def save_session(self, session: str) -> None:
        """Share it with all, or the next run would log in again and end it."""
        self._inner.save_session(session)

    def touch_session(self) -> None:
        """The session was used just now; not worth an error."""
        with suppress(PermissionDeniedError):
            self._inner.touch_session()

    def drop(self, *, bearer: str | None = None, session: str | None = None) -> None:
        """Forget a stale token, where that is allowed."""
        with suppress(PermissionDeniedError):
            self._inner.drop(bearer=bearer, session=session)

    @contextmanager
    def login_turn(self) -> Iterator[None]:
        """Raises `LoginNotTriedError` where a refused login could not be counted."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._inner.login_turn())
            except PermissionDeniedError:
                raise LoginNotTriedError(
                    "no session is stored, and no login is tried: if it were refused, this database login "
                    "could not count it"
                ) from None
            yield

    def count_refusal(self) -> int:
        """Count one more refused login in a row."""
        return self._inner.count_refusal()

    def clear_refusals(self) -> None:
        """A login was accepted."""
        self._inner.clear_refusals()
