"""How far the rows of a bulk change are, counted by what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from pondctl.db.host_tables import HostTables
from pondctl.db.work_rows import is_unsettled

# `StatusDetails` begins with a category, or is a carrier's word for the state.
_BEGINNING: Final = 24


@dataclass(frozen=True, slots=True)
class RowCount:
    """So many rows say the same. `details`: how their `StatusDetails` begins."""

    is_processed: bool
    has_errors: bool
    details: str | None
    count: int


class RowCounts:
    """Reads `M2M_DeviceChange`."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._row = tables.device_change

    def by_state(self, bulk_change_id: int) -> list[RowCount]:
        """Few entries, however many rows there are."""
        row = self._row
        # Grouped by columns: SQL Server does not see that two expressions with parameters are one.
        said = (
            sa.select(
                row["IsProcessed"].label("processed"),
                sa.case((row["HasErrors"] == sa.true(), 1), else_=0).label("errors"),
                sa.func.substring(row["StatusDetails"], 1, _BEGINNING).label("details"),
            )
            .where(row["BulkChangeId"] == bulk_change_id, row.alive())
            .subquery()
        )
        columns = (said.c.processed, said.c.errors, said.c.details)
        query = sa.select(*columns, sa.func.count()).group_by(*columns)
        return [
            RowCount(bool(found[0]), bool(found[1]), found[2], found[3])
            for found in self._connection.execute(query)
        ]

    def first_open_request(self, bulk_change_id: int) -> str | None:
        """What the first row that is not settled asks for."""
        row = self._row
        query = (
            sa.select(row["ChangeRequest"])
            .where(row["BulkChangeId"] == bulk_change_id, is_unsettled(row))
            .order_by(row["Id"])
            .limit(1)
        )
        found: str | None = self._connection.execute(query).scalar()
        return found
