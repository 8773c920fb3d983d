"""Mends rows of the host system: each only while it still says what was seen of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.device_mirror import mirror_active
from pondctl.db.dialects import cut, utcnow
from pondctl.db.host_tables import HostTables
from pondctl.models import BulkStatus

_BY: Final = "pondctl"
_DETAILS: Final = 500


@dataclass(frozen=True, slots=True)
class SeenRow:
    """What a row said when it was looked at."""

    msisdn: str | None
    is_processed: bool
    has_errors: bool | None


@dataclass(frozen=True, slots=True)
class RowFix:
    """A row that is to be settled as done. No `msisdn`: its number stays as it is; no `details` likewise."""

    row_id: int
    seen: SeenRow
    msisdn: str | None
    details: str | None

    @property
    def leaves(self) -> SeenRow:
        """What the row says once it is settled."""
        return SeenRow(self.seen.msisdn if self.msisdn is None else self.msisdn, True, False)

    @property
    def shape(self) -> tuple[object, ...]:
        """Fixes of one shape share a statement: NULLs stand in its text, never in a parameter."""
        seen = self.seen
        given = (self.msisdn is not None, self.details is not None)
        return (seen.msisdn is None, seen.is_processed, seen.has_errors, *given)


class RowFixes:
    """Writes `M2M_DeviceChange`, and `Device` where it is mapped."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._tables = tables
        self._row = tables.device_change

    def settle(self, fixes: Sequence[RowFix]) -> set[int]:
        """Settle the rows as done; returns the ids of those that still said what was seen."""
        before = self._now(fixes)
        good = [fix for fix in fixes if before.get(fix.row_id) == fix.seen]
        numbers = [(fix.row_id, fix.msisdn) for fix in good if fix.msisdn is not None]
        if numbers:
            mirror_active(self._connection, self._tables, numbers, over=True)
        by_shape: dict[tuple[object, ...], list[RowFix]] = {}
        for fix in good:
            by_shape.setdefault(fix.shape, []).append(fix)
        for alike in by_shape.values():
            execute_many(self._connection, self._update(alike[0]), [_parameters(fix) for fix in alike])
        # Somebody else may have written in between, and drivers do not tell which of many rows were hit.
        after = self._now(good)
        return {fix.row_id for fix in good if after.get(fix.row_id) == fix.leaves}

    def _now(self, fixes: Iterable[RowFix]) -> Mapping[int, SeenRow]:
        row = self._row
        columns = (row["Id"], row["MSISDN"], row["IsProcessed"], row["HasErrors"])
        found: dict[int, SeenRow] = {}
        for chunk in chunks(fix.row_id for fix in fixes):
            query = sa.select(*columns).where(row["Id"].in_(chunk), row.alive())
            found.update((r[0], SeenRow(*r[1:])) for r in self._connection.execute(query))
        return found

    def _update(self, like: RowFix) -> sa.Update:
        row = self._row
        values: dict[str, Any] = {
            "Status": str(BulkStatus.PROCESSED),
            "IsProcessed": True,
            "HasErrors": False,
            "LastModified": utcnow(),
            "ProcessedBy": _BY,
            "ProcessedDate": utcnow(),
        }
        if like.msisdn is not None:
            values["MSISDN"] = sa.bindparam("number")
        if like.details is not None:
            values["StatusDetails"] = sa.bindparam("details")
        was = row["MSISDN"].is_(None) if like.seen.msisdn is None else row["MSISDN"] == sa.bindparam("was")
        return (
            sa.update(row.table)
            .where(
                row["Id"] == sa.bindparam("row_id"),
                was,
                _is(row["IsProcessed"], like.seen.is_processed),
                _is(row["HasErrors"], like.seen.has_errors),
                row.alive(),
            )
            .values(row.present(values))
        )


def _is(column: sa.ColumnElement[bool], value: bool | None) -> sa.ColumnElement[bool]:
    if value is None:
        return column.is_(None)
    return column == (sa.true() if value else sa.false())


def _parameters(fix: RowFix) -> dict[str, Any]:
    given: dict[str, Any] = {"row_id": fix.row_id}
    if fix.seen.msisdn is not None:
        given["was"] = fix.seen.msisdn
    if fix.msisdn is not None:
        given["number"] = fix.msisdn
    if fix.details is not None:
        given["details"] = cut(fix.details, _DETAILS)
    return given
