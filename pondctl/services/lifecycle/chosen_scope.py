"""Chosen rows of a POND bulk change as the scope of a life-cycle run."""

from __future__ import annotations

from pondctl.db.database import Database
from pondctl.models import DeviceChange
from pondctl.services._row_ids import RowIds
from pondctl.services.lifecycle.request import LifeRequest
from pondctl.services.lifecycle.scope import BulkScope

_PAGE = 1000


class ChosenScope(BulkScope):
    """Those of the rows that are open; `as_if_open`: also those that failed, which is only for looking."""

    def __init__(
        self,
        database: Database,
        bulk_change_id: int,
        request: LifeRequest,
        rows: RowIds,
        *,
        as_if_open: bool = False,
    ) -> None:
        self._rows = rows
        self._as_if_open = as_if_open
        super().__init__(database, bulk_change_id, request)

    def _page(self, after: int) -> list[DeviceChange]:
        while ids := self._rows.after(after, _PAGE):
            if page := self._chosen(ids):
                return page
            after = ids[-1]
        return []

    def _chosen(self, ids: list[int]) -> list[DeviceChange]:
        rows = self._database.read(lambda unit: unit.chosen_rows.unsettled_among(ids))
        if self._as_if_open:
            bulk_change_id = self._bulk_change_id
            failed = self._database.read(lambda unit: unit.chosen_rows.failed_among(bulk_change_id, ids))
            rows += [row._replace(is_processed=False, has_errors=False) for row in failed]
        return sorted(rows, key=lambda row: row.id)
