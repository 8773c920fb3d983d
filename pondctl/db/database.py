"""The way in: one unit of work is one transaction, redone as a whole where the trouble passes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, Self, TypeVar

import sqlalchemy as sa
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from pondctl.db.columns import OwnNames
from pondctl.db.driver_errors import PASSING, Trouble, diagnose, is_connecting
from pondctl.db.engine import build_engine, require_file
from pondctl.db.host_tables import HostTables, build_host_tables
from pondctl.db.own_tables import OwnTables
from pondctl.db.unit import Unit
from pondctl.db.urls import Address, read_url
from pondctl.db.version import require_version
from pondctl.errors import DatabaseUnavailableError

T = TypeVar("T")
Later = list[Callable[[Unit], object]]

_ATTEMPTS: Final = 6
# Who lost to others is not refused: of many that meet again and again the same one can lose many times.
_ATTEMPTS_AGAINST_OTHERS: Final = 10
_LOST_TO_OTHERS: Final = (Trouble.BUSY, Trouble.CONFLICT)
_SECONDS: Final = 60.0
# Where nobody answers, Microsoft's driver itself tries for as long as it may before it says so.
_CONNECTING_SECONDS: Final = 20.0


class Database:
    """The host's database and pondctl's own tables, which are there too unless `state_url` names another.

    Safe to share between threads: each unit takes its own short connection.
    """

    def __init__(self, host: Address, state: Address, host_tables: HostTables, own_tables: OwnTables) -> None:
        self.host_address = host
        self.state_address = state
        self.host_tables = host_tables
        self.own_tables = own_tables
        self.host_engine = build_engine(host)
        self.state_engine = self.host_engine if state is host else build_engine(state)
        self._version_is_right = False
        # Looks at the database once, as soon as it is known to be the right one.
        self.greet: Callable[[Unit], None] | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        state_url: str = "",
        state_schema: str = "pondctl",
        names: Mapping[str, str] | None = None,
        service_provider_ids: Collection[int] = (),
    ) -> Self:
        """Read the settings; no connection is made yet.

        Raises `ConfigurationError` for a URL or name that cannot be meant, or a driver that is missing.
        """
        host = read_url(url)
        state = read_url(state_url) if state_url and state_url != url else host
        own_tables = _own_tables(OwnNames(None if state.is_sqlite else state_schema))
        host_tables = _host_tables(tuple((names or {}).items()), frozenset(service_provider_ids))
        return cls(host, state, host_tables, own_tables)

    @property
    def way_to_state(self) -> tuple[str, str]:
        """URL, with the password, and schema of pondctl's own tables, to `open` them in another process."""
        url = self.state_address.url.render_as_string(hide_password=False)
        return url, self.own_tables.names.schema or ""

    @property
    def is_one(self) -> bool:
        """Whether own tables and host tables share a transaction."""
        return self.state_engine is self.host_engine

    def write(self, work: Callable[[Unit], T]) -> T:
        """Do `work` in one transaction; it is called again, from the start, after trouble that passes.

        With a separate `state_url` the own tables commit first, then the host's: work must be right
        when the first happened without the second.
        """
        return self._run(work, writing=True)

    def read(self, work: Callable[[Unit], T]) -> T:
        """Do `work` in a transaction that is rolled back: it reads, whatever it tries."""
        return self._run(work, writing=False)

    def look(self, work: Callable[[Unit], T]) -> T:
        """Like `read`, on a schema of any age or none."""
        return self._redo(work, writing=False)

    def apply(self, work: Callable[[Unit], T]) -> T:
        """Like `write`, on a schema of any age or none, which may not tell what it has kept: for `db init`
        and `db upgrade`, whose work looks for itself what is left to do.
        """
        return self._redo(work, writing=True, tells=False)

    def close(self) -> None:
        """Give back all connections."""
        self.host_engine.dispose()
        self.state_engine.dispose()

    def _run(self, work: Callable[[Unit], T], *, writing: bool) -> T:
        if not self._version_is_right:
            require_file(self.host_address)
            require_file(self.state_address)
            self._redo(self._begin, writing=False)
            self._version_is_right = True
        return self._redo(work, writing=writing)

    def _begin(self, unit: Unit) -> None:
        require_version(unit)
        if self.greet is not None:
            self.greet(unit)

    def _redo(self, work: Callable[[Unit], T], *, writing: bool, tells: bool = True) -> T:
        """What was put off is done here, on its own: the work itself is over and never done again."""
        result, later = self._once(work, writing, tells)
        for each in later:
            self._once(each, writing)
        return result

    def _once(self, work: Callable[[Unit], T], writing: bool, tells: bool = True) -> tuple[T, Later]:
        again = Retrying(
            stop=_is_hopeless,
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            retry=retry_if_exception(_passes),
            reraise=True,
        )
        try:
            done: tuple[T, Later] = again(
                self._attempt, work, writing, _Kept[T](secrets.token_hex(16), tells)
            )
            return done
        except sa.exc.DBAPIError as error:
            raise diagnose(error).as_error() from error
        except sa.exc.TimeoutError as error:
            raise DatabaseUnavailableError("no database connection became free in time") from error

    def _attempt(self, work: Callable[[Unit], T], writing: bool, kept: _Kept[T]) -> tuple[T, Later]:
        with self._unit(kept.key, writing=writing) as unit:
            if kept.result is not None and unit.runs.has_kept(kept.key):
                return kept.result
            result = work(unit)
            if not writing:
                return result, []
            given = result, unit.later
            # What one of two databases has kept does not tell of the other.
            kept.result = given if kept.is_told and not unit.spans_two else None
            unit.commit(lambda: self._is_kept(kept.key))
            return given

    def _is_kept(self, key: str) -> bool:
        with self._unit(key, writing=True) as unit:
            return unit.runs.has_kept(key)

    def _unit(self, key: str, *, writing: bool) -> Unit:
        engines = (self.host_engine, self.state_engine)
        return Unit(*engines, self.host_tables, self.own_tables, writing=writing, key=key)


@dataclass(slots=True)
class _Kept(Generic[T]):
    """What a unit gave before its commit failed: perhaps only the answer was lost."""

    key: str
    is_told: bool
    result: tuple[T, Later] | None = None


# Nothing changes them, and the statements that are built once are built for these very objects.
@lru_cache(maxsize=8)
def _own_tables(names: OwnNames) -> OwnTables:
    return OwnTables(names)


@lru_cache(maxsize=8)
def _host_tables(names: tuple[tuple[str, str], ...], service_provider_ids: frozenset[int]) -> HostTables:
    return build_host_tables(dict(names), service_provider_ids)


def _is_hopeless(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    longest = _CONNECTING_SECONDS if error is not None and is_connecting(error) else _SECONDS
    lost = isinstance(error, sa.exc.DBAPIError) and diagnose(error).trouble in _LOST_TO_OTHERS
    most = _ATTEMPTS_AGAINST_OTHERS if lost else _ATTEMPTS
    return state.attempt_number >= most or (state.seconds_since_start or 0.0) >= longest


def _passes(error: BaseException) -> bool:
    if isinstance(error, sa.exc.TimeoutError):
        return True
    return isinstance(error, sa.exc.DBAPIError) and diagnose(error).trouble in PASSING
