"""Find the rows that are worth another try: exact ids before anything is touched, and why each failed."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import PermissionDeniedError, WrongCarrierError
from pondctl.models import BulkChange, Carrier, DeviceChange, Outcome, normalize_iccid
from pondctl.services._dispatch import Rules
from pondctl.services._failures import UNKNOWN, failure_of, in_order, says_nothing
from pondctl.services._target_store import PackedIccids

_PAGE = 1000

# Rows, and for each by its id why it failed.
Page = tuple[list[DeviceChange], dict[int, str]]


@dataclass(frozen=True, slots=True)
class FailedFilter:
    """Which rows; every field that is given narrows. `iccids` as they are sent."""

    failures: frozenset[str]
    bulk_change_ids: tuple[int, ...] = ()
    iccids: PackedIccids | None = None
    since: datetime | None = None
    limit: int | None = None

    def names(self, change: DeviceChange) -> bool:
        """Whether the row's bulk change and device are asked for."""
        if self.bulk_change_ids and change.bulk_change_id not in self.bulk_change_ids:
            return False
        return self.iccids is None or (normalize_iccid(change.iccid) or "") in self.iccids


@dataclass(slots=True)
class Share:
    """The rows of one bulk change; `failed` are settled, `unknown` ones were never closed."""

    bulk_change: BulkChange
    carrier: Carrier
    failed: array[int] = field(default_factory=lambda: array("q"))
    unknown: array[int] = field(default_factory=lambda: array("q"))
    failures: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.failed) + len(self.unknown)

    def __str__(self) -> str:
        """One line for the person who decides."""
        reasons = ", ".join(f"{self.failures[word]:,} {word}" for word in in_order(self.failures))
        rows = "1 device" if len(self) == 1 else f"{len(self):,} devices"
        return f"bulk change {self.bulk_change.id} ({self.carrier}): {rows}: {reasons}"


@dataclass(slots=True)
class Scope:
    """What one `retry-failed` is about, as it stood `at` this moment of the database."""

    at: datetime
    shares: dict[int, Share] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    cut: bool = False

    def __len__(self) -> int:
        """How many rows."""
        return sum(map(len, self.shares.values()))

    def take(
        self, row_id: int, header: tuple[BulkChange, Carrier], failure: str, wanted: FailedFilter
    ) -> None:
        """Take a row, where its failure is one of those wanted and there is room."""
        if failure not in wanted.failures:
            self.passed_over[failure] += 1
            return
        if wanted.limit is not None and len(self) >= wanted.limit:
            self.cut = True
            return
        share = self.shares.setdefault(header[0].id, Share(*header))
        (share.unknown if failure == UNKNOWN else share.failed).append(row_id)
        share.failures[failure] += 1


class FailedRows:
    """Walks the failed rows of the bulk changes that this profile may work on."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules

    def find(self, wanted: FailedFilter) -> Scope:
        """Raises `NotFoundError`, `PermissionDeniedError` or `WrongCarrierError` for an id that is named."""
        scope = Scope(self._database.read(lambda unit: unit.now()))
        headers = _Headers(self._database, self._rules)
        for bulk_change_id in wanted.bulk_change_ids:
            headers.require(bulk_change_id)
        pages: Iterator[Page] = chain.from_iterable(
            self._failed(bulk_change_id, wanted.since) for bulk_change_id in wanted.bulk_change_ids or (None,)
        )
        if UNKNOWN in wanted.failures:
            pages = chain(pages, self._unknown(wanted.since))
        for page, why in pages:
            headers.learn({change.bulk_change_id for change in page})
            for change in page:
                if not scope.cut and wanted.names(change) and (header := headers.of(change.bulk_change_id)):
                    scope.take(change.id, header, why.get(change.id, UNKNOWN), wanted)
            if scope.cut:
                break
        scope.shares = dict(sorted(scope.shares.items()))
        return scope

    def _failed(self, bulk_change_id: int | None, since: datetime | None) -> Iterator[Page]:
        """The failed rows, page by page, and for each why it failed."""
        after = 0

        def read(unit: Unit) -> Page:
            page = unit.chosen_rows.page_failed(bulk_change_id, after, _PAGE, since=since)
            silent = [_kept_as(change) for change in page if says_nothing(change.status_details)]
            kept = unit.outcomes.newest_of(silent) if silent else {}
            categories = {row_id: outcome.category for row_id, outcome in kept.items()}
            return page, {row.id: failure_of(row.status_details, categories.get(row.id)) for row in page}

        while (found := self._database.read(read))[0]:
            after = found[0][-1].id
            yield found

    def _unknown(self, since: datetime | None) -> Iterator[Page]:
        """Rows that a run has left with a lost answer, and that nothing has decided since."""
        after = 0

        def read(unit: Unit) -> tuple[int | None, list[DeviceChange]]:
            found = unit.outcomes.page_unknown(after, _PAGE)
            ids = [kept.outcome.device_change_id for kept in found if kept.outcome.device_change_id]
            rows = unit.chosen_rows.unsettled_among(ids, since=since)
            newest = unit.outcomes.newest_of([_kept_as(row) for row in rows]) if rows else {}
            still = [row for row in rows if row.id in newest and newest[row.id].outcome is Outcome.UNKNOWN]
            return found[-1].seq if found else None, still

        while (found := self._database.read(read))[0] is not None:
            after = found[0] or 0
            yield found[1], {}


class _Headers:
    """Bulk changes that exist and are ours, with their carrier; the others are remembered as None."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules
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
            carrier = header and self._rules.carrier_of(header.service_provider_id)
            self._known[bulk_change_id] = (header, carrier) if header and carrier else None

    def require(self, bulk_change_id: int) -> None:
        header = self._database.read(lambda unit: unit.bulk_changes.get(bulk_change_id))
        provider = header.service_provider_id
        if self._rules.allowed and provider not in self._rules.allowed:
            raise PermissionDeniedError(
                f"bulk change {bulk_change_id} belongs to service provider {provider}, "
                "which access.service_provider_ids does not allow"
            )
        self.learn([bulk_change_id])
        if self._known[bulk_change_id] is None:
            raise WrongCarrierError(
                f"bulk change {bulk_change_id} belongs to service provider {provider}, "
                "which is neither ThingSpace's nor POND's",
                hint="thingspace.service_provider_ids and pond.service_provider_ids say which are",
            )


def _kept_as(change: DeviceChange) -> str:
    """The ICCID under which a run keeps the row's outcome."""
    return normalize_iccid(change.iccid) or change.iccid or ""
