"""The durable inbox of dead messages: looking at one costs no receive."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import contains, utc_in, utcnow
from pondctl.db.own_tables import OwnTables
from pondctl.db.records import DeadLetter, DeadLetterFilter, DeadLetterHead, NewDeadLetter
from pondctl.errors import NotFoundError

OPEN: Final = "open"
REQUEUED: Final = "requeued"
DISCARDED: Final = "discarded"


class DeadLetters:
    """Reads and writes the table `dead_letter`."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.dead_letter

    def add(self, new: NewDeadLetter) -> bool:
        """Take a letter in; False where its key is there already, and nothing changes."""
        t = self._table.c
        known = sa.select(t.id).where(t.letter_key == new.key)
        if self._connection.execute(known).scalar() is not None:
            return False
        expires = sa.null() if new.expires_in_seconds is None else utc_in(new.expires_in_seconds)
        insert = (
            sa.insert(self._table)
            .inline()
            .values(
                letter_key=new.key,
                source_queue=new.source_queue,
                source_message_id=new.source_message_id,
                lineage=new.lineage,
                bulk_change_id=new.bulk_change_id,
                retry_number=new.retry_number,
                receive_count=new.receive_count,
                body=new.body,
                attributes=json.dumps(dict(new.attributes)),
                category=str(new.category),
                reason=new.reason,
                attempts=json.dumps([dict(attempt) for attempt in new.attempts], default=str),
                state=OPEN,
                requeue_count=0,
                created_at=utcnow(),
                expires_at=expires,
                changed_at=utcnow(),
            )
        )
        self._connection.execute(insert)
        return True

    def get(self, letter_id: int) -> DeadLetter:
        """Raises `NotFoundError` where there is none."""
        found = self._read(self._select().where(self._table.c.id == letter_id))
        if not found:
            raise NotFoundError(f"dead letter {letter_id} does not exist", hint="`pondctl dead-letter list`")
        return found[0]

    def find(self, key: str) -> DeadLetter | None:
        """The letter with this key."""
        found = self._read(self._select().where(self._table.c.letter_key == key))
        return found[0] if found else None

    def list_matching(
        self, which: DeadLetterFilter, *, after_id: int = 0, limit: int | None = None
    ) -> list[DeadLetter]:
        """The next letters, oldest first."""
        t = self._table.c
        query = self._select().where(self._matches(which), t.id > after_id).order_by(t.id)
        return self._read(query.limit(limit) if limit is not None else query)

    def page_heads(
        self, which: DeadLetterFilter, *, after_id: int = 0, limit: int = 500
    ) -> list[DeadLetterHead]:
        """The next letters, oldest first, without what they carry."""
        t = self._table.c
        columns = [t[name] for name in DeadLetterHead._fields]
        query = sa.select(*columns).where(self._matches(which), t.id > after_id).order_by(t.id).limit(limit)
        return [DeadLetterHead(*row) for row in self._connection.execute(query)]

    def heads_of(self, letter_ids: Collection[int]) -> dict[int, DeadLetterHead]:
        """Those of the letters that exist."""
        t = self._table.c
        columns = [t[name] for name in DeadLetterHead._fields]
        found: dict[int, DeadLetterHead] = {}
        for chunk in chunks(letter_ids):
            query = sa.select(*columns).where(t.id.in_(chunk))
            found |= {row[0]: DeadLetterHead(*row) for row in self._connection.execute(query)}
        return found

    def count(self, which: DeadLetterFilter, *, most: int | None = None) -> int:
        """How many letters match; no more than `most` are counted, so that it takes no time."""
        found = sa.select(self._table.c.id).where(self._matches(which)).limit(most)
        query = sa.select(sa.func.count()).select_from(found.subquery())
        return self._connection.execute(query).scalar_one()

    def requeues_of(self, letter: DeadLetter) -> int:
        """How often this letter or one of its line was requeued after the same error."""
        t = self._table.c
        root = letter.lineage or letter.key
        line = sa.or_(t.lineage == root, t.letter_key == root)
        same = sa.and_(t.category == letter.category, t.reason == letter.reason)
        query = sa.select(sa.func.sum(t.requeue_count)).where(line, same)
        return int(self._connection.execute(query).scalar() or 0)

    def line_of(self, letter: DeadLetter) -> list[DeadLetterHead]:
        """The letters that this one descends from or led to, and itself."""
        t = self._table.c
        root = letter.lineage or letter.key
        columns = [t[name] for name in DeadLetterHead._fields]
        line = sa.or_(t.lineage == root, t.letter_key == root)
        rows = self._connection.execute(sa.select(*columns).where(line).order_by(t.id).limit(100))
        return [DeadLetterHead(*row) for row in rows]

    def count_by_category(self, state: str = OPEN) -> dict[str, int]:
        """How many letters of a state there are for each category."""
        t = self._table.c
        query = sa.select(t.category, sa.func.count()).where(t.state == state).group_by(t.category)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def oldest_age_seconds(self) -> float | None:
        """The age of the oldest open letter."""
        t = self._table.c
        query = sa.select(sa.func.min(t.created_at), utcnow()).where(t.state == OPEN)
        oldest, now = self._connection.execute(query).one()
        return (now - oldest).total_seconds() if oldest is not None else None

    def mark(
        self,
        letter_id: int,
        state: str,
        *,
        from_state: str,
        by: str,
        reason: str | None,
        history: Collection[Mapping[str, object]] | None = None,
    ) -> bool:
        """Move a letter; False where somebody else has moved it from `from_state` already.

        `history`: its attempts from now on, with what is done to it now as the last.
        """
        t = self._table.c
        values: dict[str, Any] = {"state": state, "changed_by": by, "change_reason": reason}
        if history is not None:
            values["attempts"] = json.dumps([dict(each) for each in history], default=str)
        if state == REQUEUED:
            values["requeue_count"] = t.requeue_count + 1
        update = sa.update(self._table).where(t.id == letter_id, t.state == from_state)
        return self._connection.execute(update.values(**values, changed_at=utcnow())).rowcount == 1

    def _matches(self, which: DeadLetterFilter) -> sa.ColumnElement[bool]:
        t = self._table.c
        given = {
            t.state: which.state,
            t.category: which.category,
            t.bulk_change_id: which.bulk_change_id,
            t.source_queue: which.source_queue,
        }
        terms = [column == value for column, value in given.items() if value is not None]
        if which.text is not None:
            terms.append(sa.or_(*(contains(c, which.text) for c in (t.body, t.attributes, t.reason))))
        if which.within_seconds is not None:
            terms.append(t.created_at >= utc_in(-which.within_seconds))
        if which.older_than_seconds is not None:
            terms.append(t.created_at < utc_in(-which.older_than_seconds))
        if which.iccid is not None:
            named = (contains(c, which.iccid) for c in (t.body, t.attributes))
            terms.append(sa.or_(*named, t.bulk_change_id.in_(which.iccid_bulk_changes)))
        return sa.and_(sa.true(), *terms)

    def _select(self) -> sa.Select[Any]:
        t = self._table.c
        names = (field.name for field in fields(DeadLetter))
        return sa.select(*(t.letter_key.label("key") if name == "key" else t[name] for name in names))

    def _read(self, query: sa.Select[Any]) -> list[DeadLetter]:
        return [_letter(row._asdict()) for row in self._connection.execute(query)]


def _letter(row: dict[str, Any]) -> DeadLetter:
    texts = {"attributes": json.loads(row["attributes"]), "attempts": tuple(json.loads(row["attempts"]))}
    return DeadLetter(**{**row, **texts})
