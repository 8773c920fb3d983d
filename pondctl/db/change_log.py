"""The host's step log of a bulk change; lines are only ever added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from pondctl.db.batches import execute_many
from pondctl.db.dialects import ROWS_A_STATEMENT, begins_with, cut, utcnow
from pondctl.db.host_tables import HostTable, HostTables
from pondctl.db.records import ChangeLogEntry

_DESCRIPTION: Final = 250
_BY: Final = "pondctl"


class ChangeLog:
    """Writes and reads `DeviceBulkChangeLog`."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._log = tables.change_log

    def add(self, entries: Sequence[ChangeLogEntry]) -> None:
        """Write the entries, dated by the database."""
        execute_many(self._connection, _insert(self._log), [_row(entry) for entry in entries])

    def page(self, bulk_change_id: int, after_id: int, limit: int) -> list[tuple[int, ChangeLogEntry]]:
        """The next entries with their ids, oldest first."""
        log = self._log
        columns = ("BulkChangeId", "M2MDeviceChangeId", "LogEntryDescription", "HasErrors", "ErrorText")
        texts = ("RequestText", "ResponseText", "ResponseStatus")
        query = (
            sa.select(log["Id"], *(log[name] for name in (*columns, *texts)))
            .where(log["BulkChangeId"] == bulk_change_id, log["Id"] > after_id)
            .order_by(log["Id"])
            .limit(limit)
        )
        return [
            (row[0], ChangeLogEntry(row[1], row[2], row[3], bool(row[4]), *row[5:]))
            for row in self._connection.execute(query)
        ]

    def count_by_row(self, bulk_change_id: int, beginning: str) -> Iterator[tuple[int, int]]:
        """(device change id, how many entries whose description begins so), by id; streamed."""
        log = self._log
        row_id = log["M2MDeviceChangeId"]
        query = (
            sa.select(row_id, sa.func.count())
            .where(log["BulkChangeId"] == bulk_change_id, row_id.is_not(None))
            .where(begins_with(log["LogEntryDescription"], beginning))
            .group_by(row_id)
            .order_by(row_id)
        )
        # An option of this query alone: on the connection it would hold for all that follow in the unit.
        streamed = {"yield_per": ROWS_A_STATEMENT}
        for found in self._connection.execute(query, execution_options=streamed):
            yield found[0], found[1]

    def rows_ending_in(
        self, bulk_change_id: int, beginning: str, *, ignoring: str | None = None
    ) -> Iterator[int]:
        """Ids of device changes whose last entry has a description that begins so, ascending; streamed.

        Entries that match the pattern `ignoring` are not looked at.
        """
        log = self._log
        row_id = log["M2MDeviceChangeId"]
        such = begins_with(log["LogEntryDescription"], beginning)
        query = (
            sa.select(row_id)
            .where(log["BulkChangeId"] == bulk_change_id, row_id.is_not(None))
            .where(sa.true() if ignoring is None else log["LogEntryDescription"].not_like(ignoring))
            .group_by(row_id)
            .having(sa.func.max(log["Id"]) == sa.func.max(sa.case((such, log["Id"]))))
            .order_by(row_id)
        )
        streamed = {"yield_per": ROWS_A_STATEMENT}
        for found in self._connection.execute(query, execution_options=streamed):
            yield found[0]


@lru_cache(maxsize=8)
def _insert(log: HostTable) -> sa.Insert:
    values = {
        "BulkChangeId": sa.bindparam("bulk_change_id"),
        "M2MDeviceChangeId": sa.bindparam("device_change_id"),
        "LogEntryDescription": sa.bindparam("description"),
        "HasErrors": sa.bindparam("has_errors"),
        "ErrorText": sa.bindparam("error_text"),
        "RequestText": sa.bindparam("request_text"),
        "ResponseText": sa.bindparam("response_text"),
        "ResponseStatus": sa.bindparam("response_status"),
        "ProcessedBy": _BY,
        "ProcessedDate": utcnow(),
    }
    return sa.insert(log.table).inline().values(log.present(values))


def _row(entry: ChangeLogEntry) -> dict[str, Any]:
    return {
        "bulk_change_id": entry.bulk_change_id,
        "device_change_id": entry.device_change_id,
        "description": cut(entry.description, _DESCRIPTION),
        "has_errors": entry.has_errors,
        "error_text": entry.error_text,
        "request_text": entry.request_text,
        "response_text": entry.response_text,
        "response_status": None if entry.response_status is None else cut(str(entry.response_status), 50),
    }
