"""Outbox and embedded queue: one table, one way to take a message in hand."""

from __future__ import annotations

import json
import secrets
from dataclasses import fields
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.own_tables import OwnTables
from pondctl.db.records import NewMessage, QueueDepth, QueueMessage

WAITING: Final = "waiting"
IN_FLIGHT: Final = "in_flight"
SENT: Final = "sent"
DONE: Final = "done"
_LIVE: Final = (WAITING, IN_FLIGHT)


class Messages:
    """Reads and writes the table `message`.

    A message is due when its `visible_at` has come in database time. `receive` hides it for a while
    and gives a receipt; without that receipt nobody changes it, and nobody has two.
    """

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.message

    def add(self, new: NewMessage) -> int:
        """Put a message in and return its id; one whose key is there already is not put in again."""
        t = self._table.c
        known: int | None = self._connection.execute(sa.select(t.id).where(t.message_key == new.key)).scalar()
        if known is not None:
            return known
        due = utc_in(new.delay_seconds)
        insert = (
            sa.insert(self._table)
            .values(
                message_key=new.key,
                queue=new.queue,
                attributes=json.dumps(dict(new.attributes)),
                body=new.body,
                bulk_change_id=new.bulk_change_id,
                retry_number=new.retry_number,
                state=WAITING,
                not_before=due,
                visible_at=due,
                receive_count=0,
                lineage=new.lineage,
                created_at=utcnow(),
                changed_at=utcnow(),
            )
            .returning(t.id)
        )
        new_id: int = self._connection.execute(insert).scalar_one()
        return new_id

    def receive(
        self, queue: str, limit: int, visibility_seconds: float, *, ahead: bool = False
    ) -> list[QueueMessage]:
        """Take up to `limit` due messages in hand, oldest first; empty only when none is due.

        `ahead`: also those that were never in hand, whenever they are due.
        """
        t = self._table.c
        receipt = secrets.token_hex(16)
        due = sa.and_(t.queue == queue, t.state.in_(_LIVE), t.visible_at <= utcnow())
        if ahead:
            fresh = sa.and_(t.queue == queue, t.state == WAITING, t.receive_count == 0)
            due = sa.or_(due, fresh)
        picks = sa.select(t.id).where(due).order_by(t.visible_at, t.id).limit(limit)
        # Picked in one statement and taken in another: the condition is repeated there, so that of two
        # who picked the same message one gets it. The loser picks again.
        while picked := list(self._connection.execute(picks).scalars()):
            take = sa.update(self._table).where(t.id.in_(picked), due)
            taken = {"state": IN_FLIGHT, "receipt": receipt, "receive_count": t.receive_count + 1}
            until = {"visible_at": utc_in(visibility_seconds), "changed_at": utcnow()}
            if self._connection.execute(take.values({**taken, **until})).rowcount:
                return self._read(sa.and_(t.receipt == receipt, t.state == IN_FLIGHT))
        return []

    def extend(self, message: QueueMessage, visibility_seconds: float) -> bool:
        """Keep a message in hand for longer, from now on; False where it is no longer ours."""
        return self._change(message, visible_at=utc_in(visibility_seconds))

    def release(self, message: QueueMessage, delay_seconds: float = 0) -> bool:
        """Give a message back, to be due after the delay."""
        return self._change(message, state=WAITING, receipt=None, visible_at=utc_in(delay_seconds))

    def delete(self, message: QueueMessage) -> bool:
        """The message is worked off; its row stays until it is pruned."""
        return self._change(message, state=DONE)

    def mark_sent(self, message: QueueMessage, sent_message_id: str) -> bool:
        """The outbox message is in the queue now, under the id that the queue gave it."""
        due = self._table.c.not_before
        return self._change(message, state=SENT, sent_message_id=sent_message_id, visible_at=due)

    def note_error(self, message: QueueMessage, error: str, delay_seconds: float) -> bool:
        """Sending failed; try again after the delay."""
        again = utc_in(delay_seconds)
        return self._change(message, state=WAITING, receipt=None, visible_at=again, error=error)

    def close(self, key: str) -> bool:
        """The message with this key has been worked off, wherever it was received."""
        t = self._table.c
        update = sa.update(self._table).where(t.message_key == key, t.state != DONE)
        return self._connection.execute(update.values(state=DONE, changed_at=utcnow())).rowcount == 1

    def cancel_for(self, bulk_change_id: int) -> int:
        """Close all checks of a bulk change that wait; those in hand end by themselves."""
        t = self._table.c
        update = sa.update(self._table).where(t.bulk_change_id == bulk_change_id, t.state == WAITING)
        return self._connection.execute(update.values(state=DONE, changed_at=utcnow())).rowcount

    def waiting_for(self, bulk_change_id: int) -> list[QueueMessage]:
        """The checks of a bulk change that are still to come: waiting, in hand, or sent and not yet due."""
        t = self._table.c
        coming = sa.or_(t.state.in_(_LIVE), sa.and_(t.state == SENT, t.not_before > utcnow()))
        return self._read(sa.and_(t.bulk_change_id == bulk_change_id, coming))

    def find(self, key: str) -> QueueMessage | None:
        """The message with this key."""
        found = self._read(self._table.c.message_key == key)
        return found[0] if found else None

    def list_queued(self, queue: str, *, after_id: int = 0, limit: int = 100) -> list[QueueMessage]:
        """What lies in a queue, by id."""
        t = self._table.c
        return self._read(sa.and_(t.queue == queue, t.state.in_(_LIVE), t.id > after_id), limit)

    def queues_due(self) -> list[str]:
        """The queues for which something waits or is in hand."""
        t = self._table.c
        return list(
            self._connection.execute(sa.select(t.queue).where(t.state.in_(_LIVE)).distinct()).scalars()
        )

    def unsent(self, queue: str) -> tuple[int, str | None]:
        """How many messages the outbox has tried to send in vain, and what the queue said to one of them."""
        t = self._table.c
        query = sa.select(sa.func.count(), sa.func.max(t.error)).where(
            t.queue == queue, t.state == WAITING, t.receive_count > 0, t.error.is_not(None)
        )
        count, error = self._connection.execute(query).one()
        return count, error

    def depth(self, queue: str) -> QueueDepth:
        """How much lies in a queue now. The embedded queue: what is in hand too long waits again."""
        t = self._table.c
        due = t.visible_at <= utcnow()
        counted = sa.select(
            _count_if(due),
            _count_if(sa.and_(~due, t.state == WAITING)),
            _count_if(sa.and_(~due, t.state == IN_FLIGHT)),
            sa.func.min(sa.case((due, t.created_at))),
            utcnow(),
        ).where(t.queue == queue, t.state.in_(_LIVE))
        waiting, delayed, in_flight, oldest, now = self._connection.execute(counted).one()
        age = (now - oldest).total_seconds() if oldest else None
        return QueueDepth(waiting or 0, delayed or 0, in_flight or 0, age)

    def _change(self, message: QueueMessage, **values: Any) -> bool:
        t = self._table.c
        update = (
            sa.update(self._table)
            .where(t.id == message.id, t.receipt == message.receipt, t.state == IN_FLIGHT)
            .values(**values, changed_at=utcnow())
        )
        return message.receipt is not None and self._connection.execute(update).rowcount == 1

    def _read(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[QueueMessage]:
        t = self._table.c
        renamed = {"key": t.message_key, "seconds_until_due": t.visible_at}
        names = (field.name for field in fields(QueueMessage))
        columns = ((renamed[name] if name in renamed else t[name]).label(name) for name in names)
        query = sa.select(*columns, utcnow().label("now")).where(where).order_by(t.id)
        rows = self._connection.execute(query if limit is None else query.limit(limit))
        return [_message(row._asdict()) for row in rows]


def _message(row: dict[str, Any]) -> QueueMessage:
    seconds = (row["seconds_until_due"] - row.pop("now")).total_seconds()
    texts = {"attributes": json.loads(row["attributes"]), "seconds_until_due": seconds}
    return QueueMessage(**{**row, **texts})


def _count_if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))
