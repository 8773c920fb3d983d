"""Alerts: each is raised once and resolved once, whichever process sees it first, and told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.own_tables import OwnTables

OPEN: Final = "open"
RESOLVED: Final = "resolved"
# A notification that did not go out is tried again after so long, by whoever comes by.
_AGAIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know of. `subject` says of what kind's many it is."""

    id: int
    key: str
    kind: str
    subject: str
    detail: str
    state: str
    raised_at: datetime
    resolved_at: datetime | None


class Alerts:
    """Reads and writes the table `alert`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.alert

    def list_open(self) -> list[Alert]:
        """What is wrong now, oldest first."""
        return self._read(self._table.c.state == OPEN)

    def open(self, key: str, *, kind: str, subject: str, detail: str) -> bool:
        """Raise it; False where it is open already, whose detail then stays."""
        t = self._table.c
        values: dict[str, Any] = {"state": OPEN, "detail": detail, "raised_at": utcnow()}
        again = sa.update(self._table).where(t.alert_key == key, t.state == RESOLVED)
        fresh = {"resolved_at": sa.null(), "tried_at": sa.null()}
        if self._connection.execute(again.values(values | fresh)).rowcount == 1:
            return True
        if self._connection.execute(sa.select(t.id).where(t.alert_key == key)).scalar() is not None:
            return False
        new = {"alert_key": key, "kind": str(kind), "subject": subject[:150], **values}
        # Lost to another process in this very moment: the conflict redoes the unit, which then sees it.
        self._connection.execute(sa.insert(self._table).inline().values(new))
        return True

    def resolve(self, key: str) -> bool:
        """It is over; False where that is known."""
        t = self._table.c
        values = {"state": RESOLVED, "resolved_at": utcnow(), "tried_at": sa.null()}
        update = sa.update(self._table).where(t.alert_key == key, t.state == OPEN)
        return self._connection.execute(update.values(values)).rowcount == 1

    def list_untold(self) -> list[Alert]:
        """What nobody was notified of yet and nobody is about to. Of what came and went unseen: nothing."""
        return self._read(self._is_untold())

    def take(self, alert: Alert) -> bool:
        """Undertake to notify of it; False where somebody else did."""
        t = self._table.c
        update = sa.update(self._table).where(t.id == alert.id, t.state == alert.state, self._is_untold())
        return self._connection.execute(update.values(tried_at=utcnow())).rowcount == 1

    def mark_told(self, alerts: Sequence[Alert]) -> None:
        """Somebody was notified of each in the state it has here."""
        for alert in alerts:
            update = sa.update(self._table).where(self._table.c.id == alert.id)
            self._connection.execute(update.values(told=alert.state))

    def _is_untold(self) -> sa.ColumnElement[bool]:
        t = self._table.c
        opened = sa.and_(t.state == OPEN, sa.or_(t.told.is_(None), t.told == RESOLVED))
        over = sa.and_(t.state == RESOLVED, t.told == OPEN)
        free = sa.or_(t.tried_at.is_(None), t.tried_at < utc_in(-_AGAIN_SECONDS))
        return sa.and_(sa.or_(opened, over), free)

    def _read(self, where: sa.ColumnElement[bool]) -> list[Alert]:
        t = self._table.c
        names = (t.id, t.alert_key, t.kind, t.subject, t.detail, t.state, t.raised_at, t.resolved_at)
        query: sa.Select[Any] = sa.select(*names).where(where).order_by(t.id)
        return [_alert(row) for row in self._connection.execute(query)]


def _alert(row: Sequence[Any]) -> Alert:
    return Alert(*row)
