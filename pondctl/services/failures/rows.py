"""Find the rows that are worth another try, before anything is touched."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Final

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import PermissionDeniedError, WrongCarrierError
from pondctl.models import BulkChange, BulkStatus, Carrier, DeviceChange, Outcome, normalize_iccid
from pondctl.services._row_ids import RowIds
from pondctl.services.failures.reasons import UNKNOWN, failure_of, says_nothing
from pondctl.services.failures.scope import FailedFilter, FailedScope
from pondctl.services.failures.take_again import BEGINNING, COMMAND
from pondctl.services.queueing.dispatch import Rules

_PAGE: Final = 1000
# The single steps of a life cycle: only what is said of the device as a whole decides it.
_STEP_LINES: Final = "pondctl %: %: %"
_ENDS: Final = (BulkStatus.PROCESSED, BulkStatus.ERROR)

# Rows, and for each by its id why it failed.
Page = tuple[list[DeviceChange], dict[int, str]]


class FailedRows:
    """Walks the rows of the bulk changes that this profile may work on.

    `pond_has_the_rest`: POND is set up and names no providers, so those that are not ThingSpace's are its.
    """

    def __init__(self, database: Database, rules: Rules, *, pond_has_the_rest: bool = False) -> None:
        self._database = database
        self._headers = _Headers(database, rules, pond_has_the_rest and not rules.pond)

    def find(self, wanted: FailedFilter) -> FailedScope:
        """Raises `NotFoundError`, `PermissionDeniedError` or `WrongCarrierError` for an id that is named."""
        scope = FailedScope(self._database.read(lambda unit: unit.now()))
        for bulk_change_id in wanted.bulk_change_ids:
            self._headers.require(bulk_change_id)
        for page, why in chain(self._failed(wanted), self._left(wanted), self._unknown(wanted)):
            self._headers.learn({change.bulk_change_id for change in page})
            for change in page:
                header = self._headers.of(change.bulk_change_id)
                if header is not None and wanted.names(change):
                    scope.take(change, header, why.get(change.id, UNKNOWN), wanted)
                if scope.cut:
                    return scope
        return scope

    def _failed(self, wanted: FailedFilter) -> Iterator[Page]:
        """Rows settled with an error."""
        for bulk_change_id in wanted.bulk_change_ids or (None,):
            after = 0
            while page := self._database.read(_reading_failed(bulk_change_id, after, wanted.since)):
                after = page[0][-1].id
                yield page

    def _left(self, wanted: FailedFilter) -> Iterator[Page]:
        """Rows that an earlier `retry-failed` took up, and that nothing was decided about since: it was
        killed, or ended early. They still say why they failed before."""
        for bulk_change_id in wanted.bulk_change_ids or self._tried_before():
            ids = self._database.read(_reading_left(bulk_change_id))
            for chunk in RowIds(ids).chunks(_PAGE):
                page = self._database.read(_reading_unsettled(chunk, wanted.since))
                yield page, {row.id: failure_of(row.status_details, None) for row in page}

    def _unknown(self, wanted: FailedFilter) -> Iterator[Page]:
        """Rows that a run has left with a lost answer, and that nothing has decided since."""
        after: int | None = 0
        while UNKNOWN in wanted.failures and after is not None:
            after, page = self._database.read(_reading_unknown(after, wanted.since))
            yield page, {}

    def _tried_before(self) -> list[int]:
        """Open bulk changes that a `retry-failed` was at work on."""
        runs = self._database.read(lambda unit: unit.runs.list_recent(command=COMMAND))
        targets = {(run.target or "").partition(":")[2] for run in runs}
        ids = sorted(int(target) for target in targets if target)
        self._headers.learn(ids)
        return [i for i in ids if (header := self._headers.of(i)) and header[0].status not in _ENDS]


class _Headers:
    """Bulk changes that exist and are ours, with their carrier; the others are remembered as None."""

    def __init__(self, database: Database, rules: Rules, pond_has_the_rest: bool) -> None:
        self._database = database
        self._rules = rules
        self._rest = Carrier.POND if pond_has_the_rest else None
        self._known: dict[int, tuple[BulkChange, Carrier] | None] = {}

    def of(self, bulk_change_id: int) -> tuple[BulkChange, Carrier] | None:
        return self._known.get(bulk_change_id)

    def learn(self, ids: Iterable[int]) -> None:
        new = [bulk_change_id for bulk_change_id in ids if bulk_change_id not in self._known]
        if not new:
            return
        found = self._database.read(lambda unit: unit.bulk_changes.find(new))
        for bulk_change_id in new:
            header = found.get(bulk_change_id)
            carrier = header and self._carrier_of(header.service_provider_id)
            self._known[bulk_change_id] = (header, carrier) if header and carrier else None

    def _carrier_of(self, service_provider_id: int) -> Carrier | None:
        allowed = self._rules.allowed
        rest = self._rest if not allowed or service_provider_id in allowed else None
        return self._rules.carrier_of(service_provider_id) or rest

    def require(self, bulk_change_id: int) -> None:
        header = self._database.read(lambda unit: unit.bulk_changes.get(bulk_change_id))
        provider = header.service_provider_id
        if self._rules.allowed and provider not in self._rules.allowed:
            raise PermissionDeniedError(
                f"bulk change {bulk_change_id} belongs to service provider {provider}, "
                "which is not among access.service_provider_ids"
            )
        self.learn([bulk_change_id])
        if self._known[bulk_change_id] is None:
            raise WrongCarrierError(
                f"bulk change {bulk_change_id} belongs to service provider {provider}, "
                "which is neither ThingSpace's nor POND's",
                hint="thingspace.service_provider_ids and pond.service_provider_ids say which are",
            )


def _reading_failed(
    bulk_change_id: int | None, after: int, since: datetime | None
) -> Callable[[Unit], Page | None]:
    def read(unit: Unit) -> Page | None:
        page = unit.chosen_rows.page_failed(bulk_change_id, after, _PAGE, since=since)
        silent = [_kept_as(change) for change in page if says_nothing(change.status_details)]
        kept = unit.outcomes.newest_of(silent) if silent else {}
        categories = {row_id: outcome.category for row_id, outcome in kept.items()}
        why = {row.id: failure_of(row.status_details, categories.get(row.id)) for row in page}
        return (page, why) if page else None

    return read


def _reading_left(bulk_change_id: int) -> Callable[[Unit], array[int]]:
    return lambda unit: array(
        "q", unit.change_log.rows_ending_in(bulk_change_id, BEGINNING, ignoring=_STEP_LINES)
    )


def _reading_unsettled(ids: list[int], since: datetime | None) -> Callable[[Unit], list[DeviceChange]]:
    return lambda unit: unit.chosen_rows.unsettled_among(ids, since=since)


def _reading_unknown(
    after: int, since: datetime | None
) -> Callable[[Unit], tuple[int | None, list[DeviceChange]]]:
    def read(unit: Unit) -> tuple[int | None, list[DeviceChange]]:
        found = unit.outcomes.page_unknown(after, _PAGE)
        ids = [kept.outcome.device_change_id for kept in found if kept.outcome.device_change_id]
        rows = unit.chosen_rows.unsettled_among(ids, since=since)
        newest = unit.outcomes.newest_of([_kept_as(row) for row in rows]) if rows else {}
        still = [row for row in rows if row.id in newest and newest[row.id].outcome is Outcome.UNKNOWN]
        return found[-1].seq if found else None, still

    return read


def _kept_as(change: DeviceChange) -> str:
    """The ICCID under which a run keeps the row's outcome."""
    return normalize_iccid(change.iccid) or change.iccid or ""
