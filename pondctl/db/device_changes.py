"""Rows of the host system: reading the work, and settling it. Every write can safely come twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import chunks, execute_many
from pondctl.db.device_mirror import mirror_active
from pondctl.db.dialects import ROWS_A_STATEMENT, begins_with, cut, utcnow
from pondctl.db.host_tables import HostTable, HostTables
from pondctl.db.records import NewDeviceChange
from pondctl.db.row_reads import read_rows, select_rows
from pondctl.db.work_rows import bare_iccid, is_failed, is_unsettled, is_work, lacks_number
from pondctl.errors import Category
from pondctl.models import BulkStatus, DeviceChange

_DETAILS: Final = 500
_BY: Final = "pondctl"


class DeviceChanges:
    """Reads and writes `M2M_DeviceChange`. Lists are paged by id: `after_id` 0 begins."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._tables = tables
        self._row = tables.device_change

    def page_work(self, bulk_change_id: int, after_id: int, limit: int) -> list[DeviceChange]:
        """The next rows that lack a number and did not fail, or have one and are not settled."""
        return self._page(is_work(self._row, bulk_change_id), after_id, limit)

    def page_failed(self, bulk_change_id: int, after_id: int, limit: int) -> list[DeviceChange]:
        """The next rows that are settled with an error."""
        row = self._row
        return self._page(sa.and_(row["BulkChangeId"] == bulk_change_id, is_failed(row)), after_id, limit)

    def page_unsettled(self, bulk_change_id: int, after_id: int, limit: int) -> list[DeviceChange]:
        """The next rows that need further work in the host's eyes."""
        row = self._row
        return self._page(sa.and_(row["BulkChangeId"] == bulk_change_id, is_unsettled(row)), after_id, limit)

    def page(self, bulk_change_id: int, after_id: int, limit: int) -> list[DeviceChange]:
        """The next rows, whatever they say."""
        row = self._row
        return self._page(sa.and_(row["BulkChangeId"] == bulk_change_id, row.alive()), after_id, limit)

    def find_by_iccid(self, iccids: Iterable[str]) -> list[DeviceChange]:
        """All rows that name these devices in just these spellings, oldest first."""
        row = self._row
        found: list[DeviceChange] = []
        for chunk in chunks(iccids):
            query = self._select().where(row["ICCID"].in_(chunk), row.alive()).order_by(row["Id"])
            found += self._read(query)
        return sorted(found, key=lambda change: change.id)

    def duplicated_iccids(self, bulk_change_id: int) -> Iterator[str]:
        """The spellings, as stored, of devices that more than one row of the work names.

        Streamed: to be used up within the unit.
        """
        row = self._row
        work = is_work(row, bulk_change_id)
        bare = bare_iccid(row)
        # Grouped by a column: SQL Server does not see that two expressions with parameters are one.
        spelt = sa.select(bare.label("bare")).where(work).subquery()
        twice = sa.select(spelt.c.bare).group_by(spelt.c.bare).having(sa.func.count() > 1)
        query = sa.select(row["ICCID"]).where(work, bare.in_(twice)).distinct()
        streamed = {"yield_per": ROWS_A_STATEMENT}
        yield from self._connection.execute(query, execution_options=streamed).scalars()

    def count_work(self, bulk_change_id: int) -> int:
        """How many rows `page_work` would give."""
        return self._count(is_work(self._row, bulk_change_id))

    def count_unsettled(self, bulk_change_id: int) -> int:
        """How many rows are not settled, with a number or without."""
        return self._count(sa.and_(self._row["BulkChangeId"] == bulk_change_id, is_unsettled(self._row)))

    def has_given_up(self, bulk_change_id: int) -> bool:
        """Whether a row was refused because its retries are used up."""
        row = self._row
        if not row.has("StatusDetails"):
            return False
        said = begins_with(row["StatusDetails"], f"{Category.RETRIES_EXHAUSTED}:")
        query = (
            sa.select(row["Id"]).where(row["BulkChangeId"] == bulk_change_id, is_failed(row), said).limit(1)
        )
        return self._connection.execute(query).first() is not None

    def set_active(self, rows: Sequence[tuple[int, str]]) -> None:
        """Write (id, MSISDN) of devices that are active; a row that has a number keeps it.

        The words of a row that was open go, as in `settle_done`; a row that the host settled keeps its own.
        """
        if not rows:
            return
        mirror_active(self._connection, self._tables, rows)
        numbers = [{"row_id": i, "number": number} for i, number in rows]
        execute_many(self._connection, _set_active(self._row), numbers)

    def settle_done(self, ids: Iterable[int]) -> None:
        """Mark unsettled rows as processed without error; their number stays as it is.

        What kept them open until now is over, and would read like a result.
        """
        row = self._row
        values = _settled(BulkStatus.PROCESSED) | {"StatusDetails": sa.null()}
        for chunk in chunks(ids):
            self._connection.execute(
                sa.update(row.table)
                .where(row["Id"].in_(chunk), is_unsettled(row))
                .values(row.present(values))
            )

    def settle_failed(self, rows: Sequence[tuple[int, str]], *, only_without_msisdn: bool = True) -> None:
        """Mark unsettled rows as refused, with (id, category and reason)."""
        execute_many(self._connection, _settle_failed(self._row, only_without_msisdn), _details(rows))

    def settle_alike(self, ids: Iterable[int], details: str) -> None:
        """Mark unsettled rows as refused, all for the same reason."""
        row = self._row
        values = {**_settled(BulkStatus.API_FAILED), "StatusDetails": cut(details, _DETAILS)}
        for chunk in chunks(ids):
            self._connection.execute(
                sa.update(row.table)
                .where(row["Id"].in_(chunk), is_unsettled(row))
                .values(row.present(values))
            )

    def note_state(self, rows: Sequence[tuple[int, str]]) -> None:
        """Keep (id, words) in `StatusDetails` of rows that stay open."""
        if self._row.has("StatusDetails"):
            execute_many(self._connection, _note_state(self._row), _details(rows))

    def fail_rest(
        self,
        bulk_change_id: int,
        details: str,
        *,
        limit: int = ROWS_A_STATEMENT,
        only_without_msisdn: bool = True,
    ) -> int:
        """Mark up to `limit` unsettled rows as refused; returns how many. Call it until that is 0."""
        row = self._row
        rest = sa.and_(row["BulkChangeId"] == bulk_change_id, _open(row, only_without_msisdn))
        picked = sa.select(row["Id"]).where(rest).order_by(row["Id"]).limit(limit)
        ids = list(self._connection.execute(picked).scalars())
        self.settle_failed([(row_id, details) for row_id in ids], only_without_msisdn=only_without_msisdn)
        return len(ids)

    def reopen(self, ids: Iterable[int]) -> None:
        """Take rows that were settled with an error up again."""
        row = self._row
        values = {"Status": str(BulkStatus.PENDING), "IsProcessed": False, "HasErrors": False}
        for chunk in chunks(ids):
            self._connection.execute(
                sa.update(row.table)
                .where(row["Id"].in_(chunk), is_failed(row))
                .values(row.present({**values, "LastModified": utcnow()}))
            )

    def add(self, bulk_change_id: int, rows: Sequence[NewDeviceChange], *, created_by: str) -> None:
        """Write the rows of a new bulk change."""
        row = self._row
        values = {
            "BulkChangeId": bulk_change_id,
            "DeviceId": sa.bindparam("device_id"),
            "ICCID": sa.bindparam("iccid"),
            "MSISDN": sa.bindparam("msisdn"),
            "ChangeRequest": sa.bindparam("change_request"),
            "Status": str(BulkStatus.NEW),
            "HasErrors": False,
            "IsProcessed": False,
            "CreatedBy": created_by,
            "CreatedDate": utcnow(),
            "IsActive": True,
            "IsDeleted": False,
        }
        insert = sa.insert(row.table).inline().values(row.present(values))
        execute_many(self._connection, insert, [_new_row(new) for new in rows])

    def _select(self) -> sa.Select[Any]:
        return select_rows(self._row)

    def _page(self, where: sa.ColumnElement[bool], after_id: int, limit: int) -> list[DeviceChange]:
        row_id = self._row["Id"]
        return self._read(self._select().where(where, row_id > after_id).order_by(row_id).limit(limit))

    def _read(self, query: sa.Select[Any]) -> list[DeviceChange]:
        return read_rows(self._connection, query)

    def _count(self, where: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(self._row.table).where(where)
        return self._connection.execute(query).scalar_one()


# Statements for many rows are built once for each database.
@lru_cache(maxsize=8)
def _set_active(row: HostTable) -> sa.Update:
    words = sa.case((is_unsettled(row), sa.null()), else_=row["StatusDetails"])
    values = {"MSISDN": sa.bindparam("number"), "StatusDetails": words, **_settled(BulkStatus.PROCESSED)}
    return (
        sa.update(row.table)
        .where(row["Id"] == sa.bindparam("row_id"), lacks_number(row), row.alive())
        .values(row.present(values))
    )


@lru_cache(maxsize=16)
def _settle_failed(row: HostTable, only_without_msisdn: bool) -> sa.Update:
    values = {**_settled(BulkStatus.API_FAILED), "StatusDetails": sa.bindparam("details")}
    return (
        sa.update(row.table)
        .where(row["Id"] == sa.bindparam("row_id"), _open(row, only_without_msisdn))
        .values(row.present(values))
    )


@lru_cache(maxsize=8)
def _note_state(row: HostTable) -> sa.Update:
    noted = {"StatusDetails": sa.bindparam("details"), "LastModified": utcnow()}
    return (
        sa.update(row.table)
        .where(row["Id"] == sa.bindparam("row_id"), is_unsettled(row))
        .values(row.present(noted))
    )


def _open(row: HostTable, only_without_msisdn: bool) -> sa.ColumnElement[bool]:
    no_number = lacks_number(row) if only_without_msisdn else sa.true()
    return sa.and_(is_unsettled(row), no_number)


def _settled(status: BulkStatus) -> dict[str, Any]:
    return {
        "Status": str(status),
        "IsProcessed": True,
        "HasErrors": status is BulkStatus.API_FAILED,
        "LastModified": utcnow(),
        "ProcessedBy": _BY,
        "ProcessedDate": utcnow(),
    }


def _details(rows: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    return [{"row_id": row_id, "details": cut(words, _DETAILS)} for row_id, words in rows]


def _new_row(new: NewDeviceChange) -> dict[str, Any]:
    return {
        "device_id": new.device_id,
        "iccid": new.iccid,
        "msisdn": new.msisdn,
        "change_request": new.change_request,
    }
