"""What carriers were seen to say about devices: a row for each change of a state, none while it stays."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.dialects import utcnow
from pondctl.db.own_tables import OwnTables

_ACTIVE: Final = "active"
_STATE: Final = 100
_MSISDN: Final = 50
_ROW: Final = ("iccid", "carrier", "state", "previous", "msisdn", "run_id")


@dataclass(frozen=True, slots=True)
class Seen:
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

    def add_changes(self, carrier: str, seen: Iterable[Seen], run_id: str | None) -> int:
        """Append what differs from the newest row of each device at this carrier; returns how many.

        Of a device that is given twice the last one counts. Can safely come twice.
        """
        latest = {each.iccid: each for each in seen}
        rows: list[tuple[str | None, ...]] = []
        for chunk in chunks(latest):
            known = self._newest(carrier, chunk)
            for iccid in chunk:
                state, msisdn = latest[iccid].state[:_STATE], (latest[iccid].msisdn or "")[:_MSISDN] or None
                before = known.get(iccid)
                if before is None:
                    rows.append((iccid, carrier, state, None, msisdn, run_id))
                elif before[0] != state or (msisdn is not None and before[1] != msisdn):
                    rows.append((iccid, carrier, state, before[0], msisdn, run_id))
        if rows:
            self._insert(rows)
        return len(rows)

    def of_device(self, iccid: str, limit: int) -> list[Observation]:
        """The latest changes of a device at both carriers, newest first."""
        t = self._table.c
        columns = (t.iccid, t.carrier, t.state, t.previous, t.msisdn, t.run_id, t.observed_at)
        query = sa.select(*columns).where(t.iccid == iccid).order_by(t.id.desc()).limit(limit)
        return [Observation(*row) for row in self._connection.execute(query)]

    def activation_times(self, target: str, shares: Sequence[float]) -> tuple[int, list[datetime]]:
        """How many devices the runs over a target saw become active, and by when each share of them was.

        The shares (0.5: half of them) are above 0; no times where there are no devices.
        """
        t, r = self._table.c, self._run.c
        became = sa.or_(t.previous.is_(None), sa.func.lower(t.previous) != _ACTIVE)
        runs = sa.select(r.run_id).where(r.target == target)
        where = (t.run_id.in_(runs), sa.func.lower(t.state) == _ACTIVE, became)
        counted = sa.select(sa.func.count()).select_from(self._table).where(*where)
        count: int = self._connection.execute(counted).scalar_one()
        ordered = sa.select(t.observed_at).where(*where).order_by(t.observed_at)
        places = [ceil(share * count) - 1 for share in shares] if count else []
        picks = (ordered.offset(place).limit(1) for place in places)
        return count, [self._connection.execute(pick).scalar_one() for pick in picks]

    def _newest(self, carrier: str, iccids: Collection[str]) -> dict[str, tuple[str, str | None]]:
        """State and number of the newest row of each device. A device has few: all are read, the last stays."""
        t = self._table.c
        query = sa.select(t.iccid, t.state, t.msisdn).where(
            t.iccid.in_(sa.bindparam("iccids", expanding=True)), t.carrier == sa.bindparam("carrier")
        )
        found = self._connection.execute(
            query.order_by(t.id), {"iccids": list(iccids), "carrier": carrier}
        )
        newest: dict[str, tuple[str, str | None]] = {}
        for iccid, state, msisdn in found:
            newest[iccid] = (state, msisdn or newest.get(iccid, ("", None))[1])
        return newest

    def _insert(self, rows: Sequence[tuple[str | None, ...]]) -> None:
        if self._connection.dialect.name == "sqlite":
            # A scan writes a row for each device: handed over as one text they cost a third of the time.
            each = sa.func.json_each(sa.bindparam("rows")).table_valued("value")
            cells = [sa.func.json_extract(each.c.value, f"$[{place}]") for place in range(len(_ROW))]
            source = sa.select(*cells, utcnow()).select_from(each)
            insert = sa.insert(self._table).inline().from_select([*_ROW, "observed_at"], source)
            self._connection.execute(insert, {"rows": json.dumps(rows)})
            return
        values: dict[str, Any] = {name: sa.bindparam(name) for name in _ROW}
        insert = sa.insert(self._table).inline().values(**values, observed_at=utcnow())
        execute_many(self._connection, insert, [dict(zip(_ROW, row, strict=True)) for row in rows])
