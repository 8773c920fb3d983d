"""Take failed rows of a bulk change up again, in batches: rows, header and log in one transaction."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry, RunRecord
from pondctl.db.runs import ABANDONED
from pondctl.db.unit import Unit
from pondctl.errors import BusyError
from pondctl.models import BulkStatus, DeviceChange
from pondctl.services._row_ids import RowIds
from pondctl.services.running.run import Run

COMMAND: Final = "retry-failed"
_BATCH: Final = 1000
BEGINNING: Final = f"pondctl {COMMAND}: "


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often each row of a bulk change was taken up again before, as its log says; 12 bytes a row."""

    ids: array[int]
    counts: array[int]

    @classmethod
    def read(cls, database: Database, bulk_change_id: int) -> Attempts:
        """Read the log of a bulk change."""

        def read(unit: Unit) -> Attempts:
            attempts = cls(array("q"), array("I"))
            for row_id, count in unit.change_log.count_by_row(bulk_change_id, BEGINNING):
                attempts.ids.append(row_id)
                attempts.counts.append(count)
            return attempts

        return database.read(read)

    def next_of(self, row_id: int) -> int:
        """The number of the attempt that comes now; the one that failed first was number 1."""
        at = bisect_left(self.ids, row_id)
        known = at < len(self.ids) and self.ids[at] == row_id
        return 2 + (self.counts[at] if known else 0)


@dataclass(frozen=True, slots=True)
class TakeAgain:
    """Takes rows of one bulk change up again, within a run that holds it."""

    database: Database
    run: Run
    bulk_change_id: int
    reason: str | None

    def refuse_what_was_taken(self, since: datetime) -> None:
        """Raises `BusyError` where another `retry-failed` was at work here after the rows were chosen:
        it may have taken the same rows, and they may have failed once more since."""
        target = f"bulk_change:{self.bulk_change_id}"

        def read(unit: Unit) -> list[str]:
            runs = unit.runs.list_recent(3, command=COMMAND, target=target)
            return [run.run_id for run in runs if run.run_id != self.run.run_id and _end_of(run) >= since]

        if others := self.database.read(read):
            raise BusyError(
                f"run {others[0]} has taken rows of bulk change {self.bulk_change_id} in the meantime",
                hint="run the same command again",
            )

    def reopen(self, rows: RowIds, also: Callable[[Unit], None] | None = None) -> RowIds:
        """Reopen those of the rows that are still failed; returns which. `also` is done with every batch."""
        attempts = Attempts.read(self.database, self.bulk_change_id)
        taken = array("q")
        for chunk in rows.chunks(_BATCH):
            taken.extend(self.database.write(self._reopening(chunk, attempts, also)))
        return RowIds(taken)

    def _reopening(
        self, chunk: Sequence[int], attempts: Attempts, also: Callable[[Unit], None] | None
    ) -> Callable[[Unit], list[int]]:
        def reopen(unit: Unit) -> list[int]:
            self.run.fence(unit)
            failed = unit.chosen_rows.failed_among(self.bulk_change_id, chunk)
            if failed:
                unit.device_changes.reopen([row.id for row in failed])
                unit.bulk_changes.set_status(self.bulk_change_id, BulkStatus.PROCESSING)
                unit.change_log.add([self._entry(row, attempts.next_of(row.id)) for row in failed])
                if also is not None:
                    also(unit)
            return [row.id for row in failed]

        return reopen

    def _entry(self, row: DeviceChange, attempt: int) -> ChangeLogEntry:
        return ChangeLogEntry(
            bulk_change_id=self.bulk_change_id,
            device_change_id=row.id,
            description=f"{BEGINNING}attempt {attempt}",
            request_text=f"run {self.run.run_id}: {self.reason or 'no reason given'}",
            response_text=row.status_details,
            response_status=BulkStatus.PENDING,
        )


def _end_of(run: RunRecord) -> datetime:
    """When a run can have done something last: a dead one is only declared so when its place is taken."""
    finished = None if run.state == ABANDONED else run.finished_at
    return finished or run.heartbeat_at
