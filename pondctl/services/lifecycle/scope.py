"""Which devices a life-cycle run is for: named ones, those of an earlier run, the rows of a bulk change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, Protocol

from pondctl.db.database import Database
from pondctl.errors import Category, UsageError
from pondctl.models import DeviceChange, normalize_iccid
from pondctl.services.lifecycle.request import LifeRequest, Work
from pondctl.services.lifecycle.rows import NO_PACKAGE_TYPE, judge_row
from pondctl.services.targets.targets import Target

_PAGE: Final = 1000
FINISHED: Final = ("done", "unchanged")
REFUSED: Final = ("failed", "skipped")


class Scope(Protocol):
    """A source of work that can be read more than once."""

    @property
    def total(self) -> int:
        """How many devices (of a bulk change: rows)."""

    @property
    def wanted(self) -> int:
        """How many of them are not refused from the start."""

    @property
    def is_kept(self) -> bool:
        """Whether the run has to store them to be resumed."""

    def works(self) -> Iterator[Work]:
        """The devices, one after the other."""


class NamedScope:
    """Devices from the command line or a file."""

    is_kept = True

    def __init__(self, targets: Sequence[Target], package_type_id: int | None) -> None:
        self._targets = targets
        self._package_type_id = package_type_id
        self.total = self.wanted = len(targets)

    def works(self) -> Iterator[Work]:
        """In the order given."""
        return (Work(target.iccid, package_type_id=self._package_type_id) for target in self._targets)


class ResumedScope:
    """The devices of an earlier run that it did not finish. `stored`: how many it was for."""

    is_kept = True

    def __init__(self, database: Database, run_id: str, package_type_id: int | None) -> None:
        self._database = database
        self._run_id = run_id
        self._package_type_id = package_type_id
        self.stored = sum(len(iccids) for iccids in self._pages())
        self.total = self.wanted = sum(1 for _ in self.works())

    def works(self) -> Iterator[Work]:
        """In the order of that run; those that it saw refused come last, or they would stop this one too."""
        for refused in (False, True):
            for iccids in self._pages():
                for iccid in self._left(iccids, refused=refused):
                    yield Work(iccid, package_type_id=self._package_type_id)

    def _left(self, iccids: list[str], *, refused: bool) -> list[str]:
        states = (FINISHED, REFUSED)
        finished, bad = self._database.read(
            lambda unit: [unit.claims.decided(self._run_id, iccids, words) for words in states]
        )
        return [iccid for iccid in iccids if iccid not in finished and (iccid in bad) is refused]

    def _pages(self) -> Iterator[list[str]]:
        after = 0
        while (page := self._page(after)) is not None:
            after, iccids = page
            yield iccids

    def _page(self, after: int) -> tuple[int, list[str]] | None:
        return self._database.read(lambda unit: unit.steps.page_targets(self._run_id, after))


class BulkScope:
    """The open rows of a bulk change. Rows that name one device are one piece of work."""

    is_kept = False

    def __init__(self, database: Database, bulk_change_id: int, request: LifeRequest) -> None:
        self._database = database
        self._bulk_change_id = bulk_change_id
        self._request = request
        self._rows_of: dict[str, list[Work]] = {}
        self.total, self.wanted = self._look_through()

    def works(self) -> Iterator[Work]:
        """By row id; a device that several rows name comes with the first of them."""
        shared: set[str] = set()
        for work in self._judged():
            if work.iccid not in self._rows_of:
                yield work
            elif work.iccid not in shared:
                shared.add(work.iccid)
                yield from _together(self._rows_of[work.iccid])

    def _look_through(self) -> tuple[int, int]:
        """Count, find rows of one device, and refuse an activation that names no package type at all."""
        raw = self._database.read(
            lambda unit: list(unit.device_changes.duplicated_iccids(self._bulk_change_id))
        )
        several = set(map(normalize_iccid, raw))
        total = wanted = with_type = without_type = 0
        for work in self._judged():
            total += 1
            wanted += work.refusal is None
            with_type += work.package_type_id is not None
            without_type += work.refusal is not None and work.refusal[1] is NO_PACKAGE_TYPE
            if work.iccid in several:
                self._rows_of.setdefault(work.iccid, []).append(work)
        if without_type and not with_type:
            raise UsageError(
                f"bulk change {self._bulk_change_id} names no package type",
                hint="--package-type ID names one for all its rows",
            )
        return total, wanted

    def _judged(self) -> Iterator[Work]:
        after = 0
        while page := self._page(after):
            after = page[-1].id
            yield from (judge_row(row, self._request) for row in page if not row.is_processed)

    def _page(self, after: int) -> list[DeviceChange]:
        return self._database.read(lambda unit: unit.device_changes.page(self._bulk_change_id, after, _PAGE))


def lists_of(scope: Scope, size: int) -> Iterator[list[str]]:
    """The ICCIDs of a scope, many at a time."""
    works = scope.works()
    while page := [work.iccid for work in islice(works, size)]:
        yield page


def _together(rows: Sequence[Work]) -> Iterator[Work]:
    """One work for all rows that want the same; a row that wants something else is refused."""
    first = next((work for work in rows if work.refusal is None), None)
    if first is None:
        yield from rows
        return
    same = [work for work in rows if work.refusal is None and work.package_type_id == first.package_type_id]
    yield replace(first, device_change_ids=tuple(i for work in same for i in work.device_change_ids))
    for work in rows:
        if work.refusal is not None:
            yield work
        elif work not in same:
            reason = f"another row asks for package type {first.package_type_id} on the same device"
            yield replace(work, refusal=(Category.GUARDED, reason))
