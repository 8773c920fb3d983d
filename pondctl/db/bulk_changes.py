"""Headers of the host system, and what their rows say."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pondctl.db.batches import chunks
from pondctl.db.dialects import utcnow
from pondctl.db.host_tables import HostTables
from pondctl.db.records import NewBulkChange
from pondctl.errors import NotFoundError, PermissionDeniedError
from pondctl.models import BulkChange, BulkChangeSummary, BulkStatus

_BY = "pondctl"
_ENDS = (BulkStatus.PROCESSED, BulkStatus.ERROR)


class BulkChanges:
    """Reads and steers `BulkChange`."""

    def __init__(self, connection: sa.Connection, tables: HostTables) -> None:
        self._connection = connection
        self._tables = tables
        self._header = tables.bulk_change
        self._row = tables.device_change

    def get(self, bulk_change_id: int) -> BulkChange:
        """Raises `NotFoundError` where there is none, or where it is deleted; `PermissionDeniedError` where
        it is of a service provider that this profile may not see."""
        found = self._read(self._select().where(self._header["Id"] == bulk_change_id))
        if not found:
            raise NotFoundError(f"bulk change {bulk_change_id} does not exist", hint="`pondctl bulk list`")
        provider = found[0].service_provider_id
        if self._tables.hides(provider):
            raise PermissionDeniedError(
                f"bulk change {bulk_change_id} belongs to service provider {provider}, "
                "which is not among access.service_provider_ids"
            )
        return found[0]

    def find(self, bulk_change_ids: Iterable[int]) -> dict[int, BulkChange]:
        """Those of them that exist, whoever may see them."""
        found: dict[int, BulkChange] = {}
        for chunk in chunks(bulk_change_ids):
            found |= {b.id: b for b in self._read(self._select().where(self._header["Id"].in_(chunk)))}
        return found

    def hidden(self, bulk_change_ids: Collection[int]) -> set[int]:
        """Those of them that this profile may not see."""
        if not self._tables.service_provider_ids:
            return set()
        found = self.find(sorted(bulk_change_ids)).values()
        return {each.id for each in found if self._tables.hides(each.service_provider_id)}

    def find_made_by(self, created_by: str) -> int | None:
        """The newest one that was made by just this maker."""
        header = self._header
        query = sa.select(sa.func.max(header["Id"])).where(header["CreatedBy"] == created_by)
        found: int | None = self._connection.execute(query).scalar()
        return found

    def summary(self, bulk_change_id: int) -> BulkChangeSummary:
        """A header with the counts of its rows."""
        return self._with_counts([self.get(bulk_change_id)])[0]

    def list_summaries(
        self,
        limit: int | None = None,
        status: str | None = None,
        *,
        open_only: bool = False,
        service_provider_ids: Collection[int] = (),
        other_than: Collection[int] = (),
        since: datetime | None = None,
        before_id: int | None = None,
    ) -> list[BulkChangeSummary]:
        """Newest first. `before_id` continues a list; no provider ids: all."""
        where = self._narrowed(status, open_only, service_provider_ids, other_than, since)
        query = self._select().where(*where).order_by(self._header["Id"].desc())
        if before_id is not None:
            query = query.where(self._header["Id"] < before_id)
        if limit is not None:
            query = query.limit(limit)
        summaries: list[BulkChangeSummary] = []
        for chunk in chunks(self._read(query)):
            summaries += self._with_counts(chunk)
        return summaries

    def count(
        self,
        status: str | None = None,
        *,
        open_only: bool = False,
        service_provider_ids: Collection[int] = (),
        other_than: Collection[int] = (),
        since: datetime | None = None,
    ) -> int:
        """How many `list_summaries` would give."""
        return self._count(*self._narrowed(status, open_only, service_provider_ids, other_than, since))

    def _narrowed(
        self,
        status: str | None,
        open_only: bool,
        providers: Collection[int],
        other_than: Collection[int],
        since: datetime | None,
    ) -> list[sa.ColumnElement[bool]]:
        header = self._header
        where = [header.visible()]
        if status is not None:
            where.append(header["Status"] == status)
        if open_only:
            where.append(header["Status"].not_in(_ENDS))
        if providers:
            where.append(header["ServiceProviderId"].in_(sorted(providers)))
        if other_than:
            where.append(header["ServiceProviderId"].not_in(sorted(other_than)))
        if since is not None:
            where.append(header["CreatedDate"] >= since)
        return where

    def count_open(self) -> int:
        """How many have not come to their end."""
        return self._count(self._header.visible(), self._header["Status"].not_in(_ENDS))

    def _count(self, *where: sa.ColumnElement[bool]) -> int:
        table = self._header.table
        query = sa.select(sa.func.count()).select_from(table).where(self._header.alive(), *where)
        return self._connection.execute(query).scalar_one()

    def set_status(
        self, bulk_change_id: int, status: str, *, from_statuses: Collection[str] | None = None
    ) -> bool:
        """Move the header; False where it was there already, or in none of `from_statuses`."""
        header = self._header
        values: dict[str, Any] = {"Status": str(status), "ProcessedBy": _BY}
        if status in _ENDS:
            values["ProcessedDate"] = utcnow()
        update = (
            sa.update(header.table)
            .where(header["Id"] == bulk_change_id, header["Status"] != str(status))
            .values(header.present(values))
        )
        if from_statuses is not None:
            update = update.where(header["Status"].in_([str(word) for word in from_statuses]))
        return self._connection.execute(update).rowcount == 1

    def add(self, new: NewBulkChange) -> int:
        """Write a header with status `NEW`; returns the id that the server gave it."""
        # The table may have triggers, which rule OUTPUT and scope_identity out; so the row is found again
        # by a status that no other row ever had.
        header = self._header
        marker = f"NEW {secrets.token_hex(16)}"
        values = {
            "TenantId": new.tenant_id,
            "ServiceProviderId": new.service_provider_id,
            "ChangeRequestType": new.change_request_type,
            "Status": marker,
            "CreatedBy": new.created_by,
            "CreatedDate": utcnow(),
            "IsActive": True,
            "IsDeleted": False,
        }
        self._connection.execute(sa.insert(header.table).inline().values(header.present(values)))
        marked = header["Status"] == marker
        new_id: int = self._connection.execute(sa.select(header["Id"]).where(marked)).scalar_one()
        self._connection.execute(
            sa.update(header.table).where(header["Id"] == new_id).values(Status=str(BulkStatus.NEW))
        )
        return new_id

    def _select(self) -> sa.Select[Any]:
        header = self._header
        columns = ("Id", "ServiceProviderId", "TenantId", "ChangeRequestType", "Status", "CreatedBy")
        dates = ("CreatedDate", "ProcessedDate")
        return sa.select(*(header[name] for name in (*columns, *dates))).where(header.alive())

    def _read(self, query: sa.Select[Any]) -> list[BulkChange]:
        return [
            BulkChange(row[0], row[1], row[2], row[3] or "", row[4], *row[5:])
            for row in self._connection.execute(query)
        ]

    def _with_counts(self, headers: Sequence[BulkChange]) -> list[BulkChangeSummary]:
        row = self._row
        counted = (
            sa.select(
                row["BulkChangeId"],
                sa.func.count(),
                _count_if(row["IsProcessed"] == sa.true()),
                _count_if(row["HasErrors"] == sa.true()),
                _count_if(row["MSISDN"].is_(None)),
            )
            .where(row["BulkChangeId"].in_([header.id for header in headers]), row.alive())
            .group_by(row["BulkChangeId"])
        )
        counts = {found[0]: found[1:] for found in self._connection.execute(counted)}
        return [BulkChangeSummary(header, *counts.get(header.id, (0, 0, 0, 0))) for header in headers]


def _count_if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))
