"""Read every row of the host system once, and keep of each device the newest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache

from pondctl.db.compared_rows import ComparedRow
from pondctl.db.scratch_rows import NewestRow
from pondctl.db.scratch_sims import AskedRow
from pondctl.errors import Category
from pondctl.models import Carrier, normalize_iccid
from pondctl.services.drift.comparison import Comparison
from pondctl.services.failures.reasons import failure_of
from pondctl.services.lifecycle.rows import operation_of, read_wish
from pondctl.services.syncing.judge import BadRequestError, target_of

_PAGE = 2000

Visit = Callable[[Sequence[ComparedRow]], None]


class RowReading:
    """Fills the scratch file from `M2M_DeviceChange`; pages by id, so that no query is long."""

    def __init__(self, comparison: Comparison, *, bulk_change_id: int | None = None) -> None:
        self._comparison = comparison
        self._bulk_change_id = bulk_change_id
        self._leased: set[int] = set()
        self._carrier_of = lru_cache(maxsize=4096)(comparison.carrier_of)

    def run(self, visit: Visit | None = None) -> None:
        """Read all rows (of one bulk change: its own); `visit` sees each page as it is."""
        c = self._comparison
        c.report.phase("reading the database", None)
        self._leased = c.database.read(lambda unit: unit.open_intents.leased_bulk_changes())
        after = 0
        while not c.is_over:
            page = self._page(after)
            if not page:
                self._count_one()
                return
            after = page[-1].id
            self._keep(page)
            if visit is not None:
                visit(page)
            c.report.advance(len(page))
        c.cut_short("the database")

    def _page(self, after: int) -> list[ComparedRow]:
        since, only = self._comparison.started, self._bulk_change_id
        return self._comparison.database.read(
            lambda unit: unit.compared_rows.page(after, _PAGE, since, bulk_change_id=only)
        )

    def _keep(self, page: Sequence[ComparedRow]) -> None:
        newest: list[NewestRow] = []
        asked: list[AskedRow] = []
        found: Counter[int] = Counter()
        unsettled: Counter[int] = Counter()
        for row in page:
            if row.service_provider_id is None:
                continue
            found[row.bulk_change_id] += 1
            unsettled[row.bulk_change_id] += not row.is_processed
            iccid = normalize_iccid(row.iccid)
            carrier = self._carrier_of(row.service_provider_id)
            if iccid is None or carrier is None:
                continue
            if carrier is Carrier.THINGSPACE:
                newest.append(self._newest(row, iccid))
            else:
                asked.append(_asked(row, iccid, row.service_provider_id))
        c = self._comparison
        c.rows.put(newest)
        c.sims.add_rows(asked)
        if self._bulk_change_id is None:
            c.rows.tally(found, unsettled)

    def _newest(self, row: ComparedRow, iccid: str) -> NewestRow:
        target = ""
        with suppress(BadRequestError):  # nobody can tell what it asks for: nothing can be said against it
            target = target_of(row.change_request).value
        failure = failure_of(row.status_details, None) if row.has_errors else None
        busy = row.moving or row.bulk_change_id in self._leased or not target
        return NewestRow(
            iccid,
            row.id,
            row.bulk_change_id,
            row.msisdn,
            row.status,
            row.is_processed,
            row.has_errors,
            target,
            failure == Category.CANCELLED,
            bool(busy),
        )

    def _count_one(self) -> None:
        """Of one bulk change only some rows were read; all of them are counted."""
        only = self._bulk_change_id
        if only is None:
            return
        summary = self._comparison.database.read(lambda unit: unit.bulk_changes.summary(only))
        if summary.devices:
            self._comparison.rows.tally({only: summary.devices}, {only: summary.devices - summary.settled})


def _asked(row: ComparedRow, iccid: str, service_provider_id: int) -> AskedRow:
    operation = operation_of(row.change_request)
    return AskedRow(
        iccid,
        service_provider_id,
        row.bulk_change_id,
        None if operation is None else str(operation),
        read_wish(row.change_request).package_type_id,
        bool(row.is_processed and not row.has_errors and not row.moving),
    )
