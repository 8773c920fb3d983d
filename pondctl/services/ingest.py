"""Carrier notifications as hints: look at the carrier for the open rows that name their devices, no others.

Nobody signs a notification. So it can cause a look at devices that are waited for anyway, and what
that look shows is all that counts: state and number come from the carrier's answer.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pondctl.clients.callback import CarrierHint
from pondctl.db.chosen_rows import NamedRow
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import BusyError, Category
from pondctl.models import Carrier, DeviceOutcome, Outcome, RunResult, Stop, Strategy, normalize_iccid
from pondctl.services._row_ids import RowIds
from pondctl.services.queueing.dispatch import Rules
from pondctl.services.queueing.hints import Hints, hints_of
from pondctl.services.queueing.outbox import Outbox
from pondctl.services.running.actor import Actor
from pondctl.services.running.parts import Frame, Parts, all_parts
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run, new_run_id
from pondctl.services.sync_bulk import SyncBulk, SyncRequest
from pondctl.services.targets.store import PackedIccids

_COMMAND: Final = "ingest"
_PAGE: Final = 1000
# For fewer the account is not read: a page of it is as heavy as so many lookups.
_MANY: Final = 20
_NOT_OPEN: Final = (Outcome.UNCHANGED, None, "no row that names it is open")
_OF_POND: Final = (Outcome.SKIPPED, Category.WRONG_CARRIER, "only bulk changes of POND name it")
_NOT_KNOWN: Final = (Outcome.SKIPPED, Category.NOT_FOUND, "no bulk change names it")

Ending = tuple[Outcome, Category | None, str]


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """How the notifications are taken."""

    workers: int = 8
    dry_run: bool = False


@dataclass(slots=True)
class _Places:
    """Where the devices of the notifications stand: open rows by bulk change, and those with none."""

    rows: dict[int, array[int]] = field(default_factory=dict)
    endings: dict[Ending, PackedIccids] = field(default_factory=dict)

    def take(self, iccid: str, rows: Sequence[tuple[NamedRow, Carrier]]) -> None:
        """Sort one device in, by all rows of ours that name it."""
        ours = [row for row, carrier in rows if carrier is Carrier.THINGSPACE]
        for row in ours:
            if row.is_open:
                self.rows.setdefault(row.bulk_change_id, array("q")).append(row.id)
        if not any(row.is_open for row in ours):
            ending = _NOT_OPEN if ours else _OF_POND if rows else _NOT_KNOWN
            self.endings.setdefault(ending, PackedIccids()).add(iccid)

    def __len__(self) -> int:
        """How many outcomes there will be."""
        return sum(map(len, self.rows.values())) + sum(map(len, self.endings.values()))


@dataclass(frozen=True, slots=True)
class Ingest:
    """Everything `ingest` works with. The client is only built where a device has to be looked at."""

    database: Database
    sync_bulk: Callable[[], SyncBulk]
    rules: Rules
    actor: Actor
    stop: Stop
    outbox: Outbox | None = None

    def apply_hint(self, hint: CarrierHint, report: Report, *, workers: int = 8) -> RunResult:
        """Take one notification that came as a message. Not `BusyError`: who holds the bulk change
        looks at its devices, or its next check does; a hint is not worth waiting for."""
        try:
            return self.run(hints_of(hint), IngestRequest(workers=workers), report)
        except BusyError:
            return RunResult(_COMMAND, new_run_id(), {})

    def run(self, hints: Hints, request: IngestRequest, report: Report) -> RunResult:
        """Look at one bulk change after the other.

        Raises the worst trouble at the end, when all that could be done is saved; `BusyError` where
        nothing could be begun.
        """
        places = self._find(hints)
        ids = sorted(places.rows)
        frame = Frame(
            command=_COMMAND,
            run_id=new_run_id(),
            database=self.database,
            stop=self.stop,
            actor=self.actor,
            arguments={"documents": hints.documents, "devices": len(hints.iccids)},
            total=len(places),
            outbox=self.outbox,
            bulk_change_id=ids[0] if len(ids) == 1 else None,
            several=len(ids) > 1,
            dry_run=request.dry_run,
        )
        with all_parts(frame, report) as parts:
            for ending, iccids in places.endings.items():
                for page in _pages(iccids):
                    parts.decided([_ended(iccid, ending) for iccid in page])
            for bulk_change_id in ids:
                self._look(bulk_change_id, RowIds(places.rows[bulk_change_id]), hints, request, parts)
            return parts.finish(_hints_about(hints))

    def _look(
        self, bulk_change_id: int, rows: RowIds, hints: Hints, request: IngestRequest, parts: Parts
    ) -> None:
        sync = SyncRequest(
            bulk_change_id,
            strategy=Strategy.LOOKUP if len(rows) < _MANY else Strategy.AUTO,
            workers=request.workers,
            dry_run=request.dry_run,
            only=rows,
            faults=hints.faults,
        )

        def job(run: Run | None, report: Report) -> RunResult:
            return self.sync_bulk().run(sync, report, within=run)

        parts.work(bulk_change_id, Carrier.THINGSPACE, job)

    def _find(self, hints: Hints) -> _Places:
        odd = self._oddly_spelt(hints.iccids)
        places = _Places()
        for iccids in _pages(hints.iccids):
            named: dict[str, list[NamedRow]] = {iccid: odd.get(iccid, []) for iccid in iccids}
            for row in self.database.read(_naming(iccids)):
                named[normalize_iccid(row.iccid) or ""].append(row)
            for iccid, rows in named.items():
                carriers = ((row, self.rules.carrier_of(row.service_provider_id)) for row in rows)
                places.take(iccid, [(row, carrier) for row, carrier in carriers if carrier is not None])
        return places

    def _oddly_spelt(self, iccids: PackedIccids) -> dict[str, list[NamedRow]]:
        """Open rows that no index finds; one look for all devices, and mostly there are none."""
        found: dict[str, list[NamedRow]] = {}
        after = 0
        while page := self.database.read(_spelt_oddly(after)):
            after = page[-1].id
            for row in page:
                iccid = normalize_iccid(row.iccid)
                if iccid is not None and iccid in iccids:
                    found.setdefault(iccid, []).append(row)
        return found


def _naming(iccids: Sequence[str]) -> Callable[[Unit], list[NamedRow]]:
    return lambda unit: list(unit.chosen_rows.naming(iccids))


def _spelt_oddly(after: int) -> Callable[[Unit], list[NamedRow]]:
    return lambda unit: unit.chosen_rows.page_oddly_spelt(after, _PAGE)


def _pages(iccids: PackedIccids) -> Iterator[list[str]]:
    for first in range(0, len(iccids), _PAGE):
        yield [iccids[at] for at in range(first, min(first + _PAGE, len(iccids)))]


def _ended(iccid: str, ending: Ending) -> DeviceOutcome:
    outcome, category, detail = ending
    return DeviceOutcome(iccid, outcome, category, detail=detail)


def _hints_about(hints: Hints) -> list[str]:
    if not hints.not_iccids:
        return []
    ids = "1 device id" if hints.not_iccids == 1 else f"{hints.not_iccids:,} device ids"
    return [f"{ids} of kind ICCID cannot be one, and {'is' if hints.not_iccids == 1 else 'are'} left out"]
