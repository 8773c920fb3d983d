"""What a worker asks of the table `message`: about a whole batch at once, and by the message's own key."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import utc_in, utcnow
from pondctl.db.messages import DONE, IN_FLIGHT, SENT, WAITING
from pondctl.db.own_tables import OwnTables
from pondctl.db.records import NewMessage

# A check that was due this long ago, and that nobody has worked off, is lost.
_LOST_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """What the table says of a message's key."""

    state: str
    error: str | None
    bulk_change_id: int | None
    created_at: datetime

    @property
    def done(self) -> bool:
        """Whether the message was worked off before."""
        return self.state == DONE


class Deliveries:
    """A message is worked off once, however often a queue delivers it: its key remembers that."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.message
        self._run = tables.run

    def find(self, keys: Collection[str]) -> dict[str, KnownMessage]:
        """Those of the keys that the table knows."""
        t = self._table.c
        columns = (t.message_key, t.state, t.error, t.bulk_change_id, t.created_at)
        query = sa.select(*columns).where(t.message_key.in_(list(keys)))
        return {row[0]: KnownMessage(*row[1:]) for row in self._connection.execute(query)}

    def coming(self, queue: str, bulk_change_ids: Collection[int]) -> dict[int, dict[str, datetime]]:
        """The checks still to come in `queue`, by bulk change: their keys, and when each was made."""
        t = self._table.c
        found: dict[int, dict[str, datetime]] = {}
        for chunk in chunks(bulk_change_ids):
            query = sa.select(t.bulk_change_id, t.message_key, t.created_at).where(
                t.bulk_change_id.in_(chunk), self._still_to_come(queue)
            )
            for bulk_change_id, key, created_at in self._connection.execute(query):
                found.setdefault(bulk_change_id, {})[key] = created_at
        return found

    def made_since(self, prefix: str, seconds: float, bulk_change_ids: Sequence[int]) -> set[int]:
        """The bulk changes for which a message whose key begins so was made in the last seconds."""
        t = self._table.c
        recent = sa.and_(t.message_key.startswith(prefix), t.created_at > utc_in(-seconds))
        query = sa.select(t.bulk_change_id).where(t.bulk_change_id.in_(bulk_change_ids), recent)
        return set(self._connection.execute(query).scalars())

    def leased(self, targets: Sequence[str]) -> set[str]:
        """Those of the targets that a live run holds."""
        r = self._run.c
        held = sa.and_(r.claim.in_(targets), r.lease_until > utcnow())
        return set(self._connection.execute(sa.select(r.claim).where(held)).scalars())

    def close(self, keys: Collection[str]) -> None:
        """These messages are worked off; a key that the table does not know is not remembered."""
        t = self._table.c
        update = sa.update(self._table).where(t.message_key.in_(list(keys)), t.state != DONE)
        self._connection.execute(update.values(state=DONE, changed_at=utcnow()))

    def remember(self, message: NewMessage) -> None:
        """This message is worked off; a second delivery is known by that, also of one never seen before."""
        t = self._table.c
        closed = sa.update(self._table).where(t.message_key == message.key)
        if self._connection.execute(closed.values(state=DONE, changed_at=utcnow())).rowcount == 0:
            self._insert(message, DONE, None)

    def put_back(self, message: NewMessage, *, receipt: str | None = None, error: str | None = None) -> None:
        """Queue this very message again, due after its delay, as if it had never been received.

        Nothing happens where it waits already, was worked off, or is in the embedded queue and, by
        `receipt`, in other hands.
        """
        t = self._table.c
        ours = sa.or_(t.state == SENT, t.receipt == receipt) if receipt else t.state != WAITING
        due = utc_in(message.delay_seconds)
        update = (
            sa.update(self._table)
            .where(t.message_key == message.key, t.state.not_in((DONE, WAITING)), ours)
            .values(
                state=WAITING,
                queue=message.queue,
                not_before=due,
                visible_at=due,
                receive_count=0,
                receipt=None,
                error=error,
                changed_at=utcnow(),
            )
        )
        if self._connection.execute(update).rowcount == 0 and not self.find([message.key]):
            self._insert(message, WAITING, error)

    def _insert(self, message: NewMessage, state: str, error: str | None) -> None:
        due = utc_in(message.delay_seconds)
        values: dict[str, Any] = {
            "message_key": message.key,
            "queue": message.queue,
            "attributes": json.dumps(dict(message.attributes)),
            "body": message.body,
            "bulk_change_id": message.bulk_change_id,
            "retry_number": message.retry_number,
            "state": state,
            "not_before": due,
            "visible_at": due,
            "receive_count": 0,
            "lineage": message.lineage,
            "error": error,
            "created_at": utcnow(),
            "changed_at": utcnow(),
        }
        self._connection.execute(sa.insert(self._table).inline().values(values))

    def _still_to_come(self, queue: str) -> sa.ColumnElement[bool]:
        t = self._table.c
        sent = sa.and_(t.state == SENT, t.not_before > utc_in(-_LOST_SECONDS))
        return sa.and_(t.queue == queue, sa.or_(t.state.in_((WAITING, IN_FLIGHT)), sent))
