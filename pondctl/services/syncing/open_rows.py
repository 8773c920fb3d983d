"""The rows that one `sync-bulk` is about: all open ones of a bulk change, or some chosen ones."""

from __future__ import annotations

from collections.abc import Iterator

from pondctl.db.database import Database
from pondctl.models import DeviceChange, normalize_iccid
from pondctl.services._row_ids import RowIds
from pondctl.services.targets.store import PackedIccids

_PAGE = 1000


class OpenRows:
    """Reads the work page by page, in the order of the rows' ids.

    `as_if_open`: chosen rows that failed count as open: a dry run shows what they would come to.
    """

    def __init__(
        self, database: Database, bulk_change_id: int, only: RowIds | None = None, *, as_if_open: bool = False
    ) -> None:
        self._database = database
        self.bulk_change_id = bulk_change_id
        self._only = only
        self._as_if_open = as_if_open

    def count(self) -> int:
        """How many rows there are at most."""
        if self._only is not None:
            return len(self._only)
        return self._database.read(lambda unit: unit.device_changes.count_work(self.bulk_change_id))

    def page(self, after: int) -> list[DeviceChange]:
        """The next rows; empty at the end."""
        if self._only is None:
            return self._database.read(
                lambda unit: unit.device_changes.page_work(self.bulk_change_id, after, _PAGE)
            )
        while ids := self._only.after(after, _PAGE):
            if page := self.pick(ids):
                return page
            after = ids[-1]
        return []

    def named_twice(self) -> Iterator[str]:
        """The ICCIDs, as they are sent, that more than one of the rows names."""
        if self._only is None:
            raw = self._database.read(
                lambda unit: list(unit.device_changes.duplicated_iccids(self.bulk_change_id))
            )
            yield from (iccid for iccid in map(normalize_iccid, raw) if iccid)
            return
        seen = PackedIccids()
        after = 0
        while page := self.page(after):
            after = page[-1].id
            yield from (i for row in page if (i := normalize_iccid(row.iccid)) and not seen.add(i))

    def pick(self, ids: list[int]) -> list[DeviceChange]:
        """Those of these rows that are still work, in the order of their ids."""
        bulk_change_id = self.bulk_change_id
        rows = self._database.read(lambda unit: unit.chosen_rows.work_among(bulk_change_id, ids))
        if not self._as_if_open:
            return rows
        failed = self._database.read(lambda unit: unit.chosen_rows.failed_among(bulk_change_id, ids))
        rows += [row._replace(is_processed=False, has_errors=False) for row in failed]
        return sorted(rows, key=lambda row: row.id)
