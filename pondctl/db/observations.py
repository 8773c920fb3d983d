"""What carriers were seen to say about devices: a row for each change of a state, none while it stays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import Final, NamedTuple

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import TEXT, cut, text, utcnow
from pondctl.db.own_tables import OwnTables

_ACTIVE: Final = "active"
# What is seen of a device, and how much of it the columns hold.
_SEEN: Final = {"iccid": 50, "state": 100, "msisdn": 50}
# Three parameters each; SQL Server takes 2,100 in a statement.
_DEVICES_A_STATEMENT: Final = 600
_INSERTED: Final = ("iccid", "carrier", "state", "previous", "msisdn", "run_id", "observed_at")


class Seen(NamedTuple):
    """A device as a carrier shows it; `state` is the carrier's own word. No `msisdn`: it told none."""

    iccid: str
    state: str
    msisdn: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A change of a device's state; `previous` is what the same carrier said before."""

    iccid: str
    carrier: str
    state: str
    previous: str | None
    msisdn: str | None
    run_id: str | None
    observed_at: datetime


class Observations:
    """Reads and writes the table `observation`; rows are only ever added."""

    def __init__(self, connection: sa.Connection, tables: OwnTables) -> None:
        self._connection = connection
        self._table = tables.observation
        self._run = tables.run

    def add_changes(self, carrier: str, seen: Iterable[Seen], run_id: str | None) -> None:
        """Append what differs from the newest row of each device at this carrier, many in one statement.

        Of a device that is given twice the last one counts. Can safely come twice.
        """
        latest = {each[0]: each for each in seen}
        values = {"carrier": carrier, "run_id": run_id}
        if self._connection.dialect.name == "sqlite":
            # A scan has thousands of devices a second: handed over as one text they cost least.
            for chunk in chunks(latest.values()):
                self._connection.execute(_from_text(self._table), {**values, "rows": json.dumps(chunk)})
            return
        for chunk in chunks(latest.values(), _DEVICES_A_STATEMENT):
            self._connection.execute(_from_parameters(self._table, chunk), values)

    def of_device(self, iccid: str, limit: int) -> list[Observation]:
        """The latest changes of a device at both carriers, newest first."""
        t = self._table.c
        columns = (t.iccid, t.carrier, t.state, t.previous, t.msisdn, t.run_id, t.observed_at)
        query = sa.select(*columns).where(t.iccid == iccid).order_by(t.id.desc()).limit(limit)
        return [Observation(*row) for row in self._connection.execute(query)]

    def history(self, iccids: Iterable[str]) -> list[Observation]:
        """All changes of these devices at both carriers, oldest first."""
        t = self._table.c
        columns = (t.iccid, t.carrier, t.state, t.previous, t.msisdn, t.run_id, t.observed_at)
        found: list[Observation] = []
        for chunk in chunks(iccids):
            query = sa.select(*columns).where(t.iccid.in_(chunk)).order_by(t.id)
            found += [Observation(*row) for row in self._connection.execute(query)]
        return found

    def activation_times(self, target: str, shares: Sequence[float]) -> tuple[int, list[datetime]]:
        """How many devices the runs over a target saw become active, and by when each share of them was.

        The shares (0.5: half of them) are above 0; no times where there are no devices.
        """
        t, r = self._table.c, self._run.c
        became = sa.or_(t.previous.is_(None), sa.func.lower(t.previous) != text(_ACTIVE))
        runs = sa.select(r.run_id).where(r.target == target)
        where = (t.run_id.in_(runs), sa.func.lower(t.state) == text(_ACTIVE), became)
        counted = sa.select(sa.func.count()).select_from(self._table).where(*where)
        count: int = self._connection.execute(counted).scalar_one()
        ordered = sa.select(t.observed_at).where(*where).order_by(t.observed_at)
        places = [ceil(share * count) - 1 for share in shares] if count else []
        picks = (ordered.offset(place).limit(1) for place in places)
        return count, [self._connection.execute(pick).scalar_one() for pick in picks]


@lru_cache(maxsize=8)
def _from_text(table: sa.Table) -> sa.Insert:
    """For SQLite: the devices come as JSON in the parameter `rows`."""
    each = sa.func.json_each(sa.bindparam("rows", type_=TEXT)).table_valued("value")
    cells = (
        sa.func.substr(sa.func.json_extract(each.c.value, text(f"$[{place}]")), 1, longest).label(name)
        for place, (name, longest) in enumerate(_SEEN.items())
    )
    return _append(table, sa.select(*cells).subquery("seen"))


def _from_parameters(table: sa.Table, devices: Sequence[Seen]) -> sa.Insert:
    """For SQL Server: three parameters a device. A column of nothing but NULL would be taken for a number."""
    columns = (sa.column(name, table.c[name].type) for name in _SEEN)
    lengths = _SEEN.values()
    rows = [tuple(cut(v or "", n) for v, n in zip(device, lengths, strict=True)) for device in devices]
    return _append(table, sa.values(*columns, name="seen").data(rows))


def _append(table: sa.Table, source: sa.FromClause) -> sa.Insert:
    """Compares and writes at once: the newest row of a device tells whether there is a change."""
    seen, before, other = source.c, table.alias(), table.alias().c
    carrier = sa.bindparam("carrier", type_=other.carrier.type)
    run_id = sa.bindparam("run_id", type_=other.run_id.type)
    newest = sa.select(sa.func.max(other.id)).where(other.iccid == seen.iccid, other.carrier == carrier)
    old, given = before.c, sa.func.nullif(seen.msisdn, text(""))
    number = sa.and_(given.is_not(None), sa.or_(old.msisdn.is_(None), old.msisdn != given))
    changes = (
        sa.select(
            *(seen.iccid, carrier, seen.state, old.state.label("previous")),
            *(sa.func.coalesce(given, old.msisdn), run_id, utcnow()),
        )
        .select_from(source.outerjoin(before, old.id == newest.scalar_subquery()))
        .where(sa.or_(old.id.is_(None), old.state != seen.state, number))
    )
    return sa.insert(table).inline().from_select(_INSERTED, changes)
