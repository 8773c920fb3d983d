"""Hold the database against itself: duplicates, broken references, what cannot be, what no rule explains."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pondctl.clients.pond_models import PackageStatus
from pondctl.db.compared_rows import ComparedRow
from pondctl.db.package_rows import PackageRow
from pondctl.db.records import QueueMessage
from pondctl.db.scratch_names import ScratchNames
from pondctl.db.unit import Unit
from pondctl.models import Carrier, normalize_iccid
from pondctl.services.drift.compare_rows import RowReading
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.kinds import Drift, Kind
from pondctl.services.drift.local import judge_row_alone

_PAGE: Final = 2000


@dataclass(slots=True)
class LocalSide:
    """No carrier is asked. `bulk_change_id`: the rows of this one alone."""

    comparison: Comparison
    queue_name: str
    bulk_change_id: int | None = None

    def run(self) -> None:
        """Read everything once."""
        c = self.comparison
        names = ScratchNames(c.file.connection)
        self._read_rows(names)
        if self.bulk_change_id is None and not c.is_over:
            self._read_packages(names)
            c.add(self._references())
        c.add(_duplicates(names))

    def _read_rows(self, names: ScratchNames) -> None:
        c = self.comparison

        def visit(page: Sequence[ComparedRow]) -> None:
            c.add(drift for row in page for drift in judge_row_alone(row, self._carrier(row)))
            names.add_rows((row.bulk_change_id, i) for row in page if (i := normalize_iccid(row.iccid)))

        RowReading(c, bulk_change_id=self.bulk_change_id).run(visit)

    def _carrier(self, row: ComparedRow) -> Carrier | None:
        provider = row.service_provider_id
        return None if provider is None else self.comparison.carrier_of(provider)

    def _read_packages(self, names: ScratchNames) -> None:
        c = self.comparison
        c.report.phase("reading the packages", None)
        after = 0
        while page := c.database.read(partial(_package_page, after)):
            after = page[-1].id
            c.report.advance(len(page))
            mine = [row for row in page if c.may_touch(row.service_provider_id)]
            c.add(filter(None, map(_judge_package, mine)))
            names.add_packages(
                (normalize_iccid(row.iccid) or row.iccid, row.package_id, row.status.upper() == "ACTIVE")
                for row in mine
            )
            if c.is_over:
                c.cut_short("the packages")
                return

    def _references(self) -> Iterator[Drift]:
        database = self.comparison.database
        for bulk_change_id, entries in database.read(
            lambda unit: list(unit.compared_rows.logged_for_nothing())
        ):
            here = f"{entries:,} entries of the change log: bulk change {bulk_change_id} does not exist"
            yield Drift(Kind.BROKEN_REFERENCE, bulk_change_id=bulk_change_id, here=here)
        after = 0
        while page := database.read(partial(_message_page, self.queue_name, after)):
            after = page[-1].id
            about = {m.bulk_change_id for m in page if m.bulk_change_id is not None}
            known = database.read(partial(_known, about))
            for message in page:
                missing = message.bulk_change_id
                if missing is not None and missing not in known:
                    here = f"message {message.key}: bulk change {missing} does not exist"
                    yield Drift(Kind.BROKEN_REFERENCE, bulk_change_id=missing, here=here)


def _duplicates(names: ScratchNames) -> Iterator[Drift]:
    for bulk_change_id, iccid, count in names.doubled_rows():
        here = f"{count} rows of this bulk change name the device"
        yield Drift(Kind.DUPLICATE_ROW, iccid, bulk_change_id, here=here)
    for iccid, package_id, count in names.doubled_packages():
        yield Drift(Kind.DUPLICATE_PACKAGE_ROW, iccid, here=f"{count} rows of package {package_id}")
    for iccid, count in names.several_active():
        yield Drift(Kind.TWO_ACTIVE_ROWS, iccid, here=f"{count} packages are ACTIVE together")


def _judge_package(row: PackageRow) -> Drift | None:
    riddles = []
    if row.status.upper() not in set(PackageStatus) - {PackageStatus.UNKNOWN}:
        riddles.append(f"Status {row.status[:50]!r} is no word of POND's")
    if not row.is_found:
        riddles.append("nobody finds it by this spelling of the ICCID")
    if not riddles:
        return None
    return Drift(Kind.UNEXPLAINED_ROW, row.iccid, here=f"package row {row.id}: {'; '.join(riddles)}")


def _package_page(after: int, unit: Unit) -> list[PackageRow]:
    return unit.package_rows.page(after, _PAGE)


def _message_page(queue_name: str, after: int, unit: Unit) -> list[QueueMessage]:
    return unit.messages.list_queued(queue_name, after_id=after, limit=_PAGE)


def _known(bulk_change_ids: Collection[int], unit: Unit) -> Collection[int]:
    return unit.bulk_changes.find(bulk_change_ids).keys()
