"""What one `retry-failed` is about: exact rows, by bulk change, and why each failed. No I/O."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pondctl.models import BulkChange, Carrier, DeviceChange, Operation, normalize_iccid
from pondctl.services.failures.reasons import NEED_NO_REASON, in_order
from pondctl.services.lifecycle.rows import operation_of
from pondctl.services.targets.store import PackedIccids

_SHOWN: Final = 20


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
    """The rows of one bulk change: `failed` ones are settled, `open` ones were left unsettled.

    `operation`: what POND is asked for; a bulk change is taken up for one operation at a time.
    """

    bulk_change: BulkChange
    carrier: Carrier
    operation: Operation
    failed: array[int] = field(default_factory=lambda: array("q"))
    open: array[int] = field(default_factory=lambda: array("q"))
    failures: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.failed) + len(self.open)

    def __str__(self) -> str:
        """One line for the person who decides."""
        reasons = ", ".join(f"{self.failures[word]:,} {word}" for word in in_order(self.failures))
        what = f"{self.carrier} {self.operation}"
        return f"bulk change {self.bulk_change.id} ({what}): {_devices(len(self))}: {reasons}"


@dataclass(slots=True)
class FailedScope:
    """The rows as they stood `at` this moment of the database; `passed_over` are not taken, by failure."""

    at: datetime
    shares: dict[int, Share] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    other_operation: int = 0
    cut: bool = False

    def __len__(self) -> int:
        """How many rows."""
        return sum(map(len, self.shares.values()))

    @property
    def terminations(self) -> int:
        """How many of them end packages at POND for good."""
        return sum(len(s) for s in self.shares.values() if s.operation is Operation.TERMINATE)

    def take(
        self,
        change: DeviceChange,
        header: tuple[BulkChange, Carrier],
        failure: str,
        wanted: FailedFilter,
    ) -> None:
        """Take a row, where its failure is one of those wanted and there is room."""
        bulk_change, carrier = header
        if failure not in wanted.failures:
            self.passed_over[failure] += 1
            return
        if wanted.limit is not None and len(self) >= wanted.limit:
            self.cut = True
            return
        operation = Operation.SYNC if carrier is Carrier.THINGSPACE else operation_of(change.change_request)
        share = self.shares.get(bulk_change.id)
        if operation is None or (share is not None and share.operation is not operation):
            self.other_operation += 1
            return
        if share is None:
            share = self.shares[bulk_change.id] = Share(bulk_change, carrier, operation)
        (share.failed if change.is_processed else share.open).append(change.id)
        share.failures[failure] += 1

    def lines(self) -> Iterator[str]:
        """The exact scope, for the person who decides."""
        shares = [self.shares[bulk_change_id] for bulk_change_id in sorted(self.shares)]
        yield from map(str, shares[:_SHOWN])
        if len(shares) > _SHOWN:
            rest = sum(map(len, shares[_SHOWN:]))
            yield f"and {_devices(rest)} of {len(shares) - _SHOWN:,} more bulk changes"
        if self.cut:
            yield f"--limit: the first {_devices(len(self))}; more have failed"
        for failure in in_order(self.passed_over):
            how = "" if failure in NEED_NO_REASON else " and --reason"
            yield f"left alone: {self.passed_over[failure]:,} {failure} (needs --category {failure}{how})"
        if self.other_operation:
            yield (
                f"left alone: {_devices(self.other_operation)} whose row asks for another operation "
                "than the first of the bulk change, or for none; --iccid names them alone"
            )


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count:,} devices"
