"""The carrier tokens that all processes and hosts share, encrypted, with one login at a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pondctl.db.database import Database
from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.unit import Unit
from pondctl.errors import DatabaseUnavailableError
from pondctl.models import StoredTokens

_LEASE_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 300.0
# The idle time of a session is 20 minutes: to the half minute is near enough, and spares a write a call.
_TOUCH_SECONDS: Final = 30.0


class DatabaseTokenStore:
    """Tokens of one credential, in the table `token`; each method is a short transaction of its own.

    The row is found by a keyed hash of the whole credential: another password is another row, without
    tokens and without refusals. What does not decrypt counts as absent.

    `process` stands for this process, and `is_gone` tells of such a name that its process has ended:
    a login that was cut short by a kill then keeps nobody waiting.
    """

    def __init__(
        self,
        database: Database,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        username: str,
        password: str,
        process: str,
        is_gone: Callable[[str], bool],
    ) -> None:
        self._database = database
        self._process = process
        self._is_gone = is_gone
        self._table = database.own_tables.token
        key = _derive(client_secret, "tokens", salt=f"{username}\n{base_url}")
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        credential = json.dumps([base_url, client_id, client_secret, username, password])
        tag = hmac.new(_derive(client_secret, "fingerprint"), credential.encode(), hashlib.sha256)
        self._fingerprint = tag.hexdigest()
        self._lock = threading.Lock()
        self._touched = -_TOUCH_SECONDS

    def load(self) -> StoredTokens:
        """What is stored now, in seconds of the database's clock."""
        row = self._database.read(self._find)
        if row is None:
            return StoredTokens(None, 0.0, None, 0.0, 0, 0)
        bearer, session = self._open(row.bearer), self._open(row.session)
        return StoredTokens(
            bearer=bearer,
            bearer_seconds_left=_seconds(row.now, row.bearer_until) if bearer else 0.0,
            session=session,
            session_idle_seconds=_seconds(row.session_used_at, row.now) if session else 0.0,
            refused=row.refused,
            version=row.version,
        )

    def save_bearer(self, bearer: str, expires_in: float) -> None:
        """Keep a bearer token that was just issued."""
        self._store(bearer=self._seal(bearer), bearer_until=utc_in(expires_in))

    def save_session(self, session: str) -> None:
        """Keep a session that was just opened."""
        self._store(session=self._seal(session), session_used_at=utcnow())

    def touch_session(self) -> None:
        """The session was used just now; written at most every half minute."""
        with self._lock:
            now = time.monotonic()
            if now - self._touched < _TOUCH_SECONDS:
                return
            self._touched = now
        self._database.write(lambda unit: self._update(unit, session_used_at=utcnow()))

    def drop(self, *, bearer: str | None = None, session: str | None = None) -> None:
        """Forget a token, but only if the stored one is still that value."""

        def forget(unit: Unit) -> None:
            row = self._find(unit)
            if row is None:
                return
            gone: dict[str, Any] = {}
            if bearer is not None and self._open(row.bearer) == bearer:
                gone["bearer"] = sa.null()
            if session is not None and self._open(row.session) == session:
                gone["session"] = sa.null()
            if gone:
                self._update(unit, self._table.c.version == row.version, **gone, version=row.version + 1)

        self._database.write(forget)

    @contextmanager
    def login_turn(self) -> Iterator[None]:
        """Hold the right to log in; the others wait, here and on every other host.

        A holder of another host that dies is waited for until its lease of a minute is over in database time.
        """
        owner = f"{self._process}/{secrets.token_hex(4)}"
        until = time.monotonic() + _WAIT_SECONDS
        while not self._database.write(lambda unit: self._take_turn(unit, owner)):
            if time.monotonic() > until:
                raise DatabaseUnavailableError("another process has been logging in for minutes")
            time.sleep(random.uniform(0.05, 0.25))
        try:
            yield
        finally:
            mine = self._table.c.login_owner == owner
            nobody = {"login_owner": sa.null(), "login_until": sa.null()}
            self._database.write(lambda unit: self._update(unit, mine, **nobody))

    def count_refusal(self) -> int:
        """Count one more refused login in a row; return the count."""

        def count(unit: Unit) -> int:
            self._ensure(unit)
            t = self._table.c
            self._update(unit, refused=t.refused + 1)
            query = sa.select(t.refused).where(t.fingerprint == self._fingerprint)
            refused: int = unit.state.execute(query).scalar_one()
            return refused

        return self._database.write(count)

    def clear_refusals(self) -> None:
        """A login was accepted."""
        some = self._table.c.refused > 0
        self._database.write(lambda unit: self._update(unit, some, refused=0))

    def _take_turn(self, unit: Unit, owner: str) -> bool:
        self._ensure(unit)
        t = self._table.c
        free = sa.or_(t.login_owner.is_(None), t.login_until < utcnow())
        query = sa.select(t.login_owner).where(t.fingerprint == self._fingerprint)
        holder = unit.state.execute(query).scalar_one()
        if holder is not None and self._is_gone(holder.rpartition("/")[0]):
            free = sa.or_(free, t.login_owner == holder)
        return self._update(unit, free, login_owner=owner, login_until=utc_in(_LEASE_SECONDS))

    def _store(self, **values: Any) -> None:
        def store(unit: Unit) -> None:
            self._ensure(unit)
            self._update(unit, **values, version=self._table.c.version + 1)

        self._database.write(store)

    def _find(self, unit: Unit) -> Any:
        query = sa.select(*self._table.c, utcnow().label("now"))
        return unit.state.execute(query.where(self._table.c.fingerprint == self._fingerprint)).one_or_none()

    def _ensure(self, unit: Unit) -> None:
        if self._find(unit) is None:
            new = {"fingerprint": self._fingerprint, "refused": 0, "version": 0, "changed_at": utcnow()}
            unit.state.execute(sa.insert(self._table).inline().values(new))

    def _update(self, unit: Unit, *where: sa.ColumnElement[bool], **values: Any) -> bool:
        update = sa.update(self._table).where(self._table.c.fingerprint == self._fingerprint, *where)
        return unit.state.execute(update.values(**values, changed_at=utcnow())).rowcount == 1

    def _seal(self, token: str) -> str:
        return self._fernet.encrypt(token.encode()).decode("ascii")

    def _open(self, sealed: str | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeDecodeError):
            return None


def _derive(secret: str, purpose: str, *, salt: str = "") -> bytes:
    kdf = HKDF(hashes.SHA256(), length=32, salt=salt.encode(), info=f"pondctl {purpose}".encode())
    return kdf.derive(secret.encode())


def _seconds(begin: datetime | None, end: datetime | None) -> float:
    return (end - begin).total_seconds() if begin is not None and end is not None else 0.0
