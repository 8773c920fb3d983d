"""Read the whole account instead of asking device by device, where that is cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from pondctl.clients.thingspace import ThingSpaceClient
from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry
from pondctl.db.scratch import Scratch
from pondctl.db.unit import Unit
from pondctl.errors import DeviceError, ListingError
from pondctl.models import BulkStatus, Stop, Strategy
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run
from pondctl.telemetry.logger import Logger

_PAGE = 2000
_log = Logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What `auto` came to. `max_pages` bounds a scan whose account size is not known; 0 is no scan."""

    max_pages: int | None
    why: str


def plan(strategy: Strategy, wanted: int, account_size: int | None) -> Plan:
    """Choose the cheaper way: `wanted` lookups or one call for each 2,000 devices of the account."""
    if strategy is Strategy.LOOKUP or wanted == 0:
        return Plan(0, "one lookup a device")
    if strategy is Strategy.SCAN:
        return Plan(None, "the whole account is read")
    if account_size is None:
        if wanted < 2:  # noqa: PLR2004 - one page can save nothing on a single device
            return Plan(0, "one lookup a device: the account's size is not known")
        return Plan(
            wanted - 1,
            f"the account's size is not known: it is read as long as that is cheaper than {_lookups(wanted)}",
        )
    pages = max(1, ceil(account_size / _PAGE))
    if pages < wanted:
        return Plan(2 * pages, f"{_pages(pages)} instead of {_lookups(wanted)}")
    return Plan(0, f"{_lookups(wanted)} instead of {_pages(pages)}")


def _pages(count: int) -> str:
    return f"{count:,} {'page' if count == 1 else 'pages'} of the account"


def _lookups(count: int) -> str:
    return f"{count:,} {'lookup' if count == 1 else 'lookups'}"


@dataclass(slots=True)
class Scan:
    """What a scan has shown. Only a complete one says how large the account is.

    `trouble`: what broke it off; one that was read only as far as it was cheaper has none.
    """

    scratch: Scratch
    devices: int = 0
    complete: bool = False
    trouble: str | None = None

    def record(self, database: Database, run: Run, bulk_change_id: int, account: str) -> None:
        """Leave one log entry for all that was read; a complete scan tells the size for next time."""
        entry = ChangeLogEntry(
            bulk_change_id=bulk_change_id,
            device_change_id=None,
            description=f"pondctl sync-bulk: {self.devices} devices of the account read in one scan"
            + ("" if self.complete else " (incomplete)"),
            has_errors=self.trouble is not None,
            error_text=self.trouble,
            request_text=f"run {run.run_id}: read the account at ThingSpace",
            response_text=None,
            response_status=BulkStatus.PROCESSED,
        )

        def write(unit: Unit) -> None:
            run.fence(unit)
            unit.change_log.add([entry])
            if self.complete:
                unit.meta.set_account_size(account, self.devices)

        database.write(write)


@contextmanager
def scanned(
    thingspace: ThingSpaceClient, chosen: Plan, account_size: int | None, report: Report, stop: Stop
) -> Iterator[Scan | None]:
    """Read the account as far as the plan allows; yields None where nothing is scanned.

    A listing that contradicts itself ends the scan as incomplete: what it showed is good, what it
    did not show is looked up singly, and nothing is taken as unknown because of it.
    """
    if chosen.max_pages == 0:
        yield None
        return
    with Scratch() as scratch:
        scan = Scan(scratch)
        report.phase("reading the account", account_size)
        try:
            _read(thingspace, chosen, scan, report, stop)
        except (ListingError, DeviceError) as error:
            scan.trouble = error.message
            _log.warning("the account listing is incomplete", reason=error.message)
        yield scan


def _read(thingspace: ThingSpaceClient, chosen: Plan, scan: Scan, report: Report, stop: Stop) -> None:
    for page in thingspace.iter_pages(chosen.max_pages):
        scan.scratch.add(page.devices)
        scan.devices += len(page.devices)
        report.advance(len(page.devices))
        if page.last:
            scan.complete = True
            return
        if stop.is_set():
            return
