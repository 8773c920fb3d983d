"""Give a bulk change up: who works on it stops, what is open fails as cancelled, its checks are closed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pondctl.db.database import Database
from pondctl.db.dialects import ROWS_A_STATEMENT
from pondctl.db.records import ChangeLogEntry
from pondctl.db.unit import Unit
from pondctl.errors import BusyError, Category, PermissionDeniedError, UsageError
from pondctl.models import BulkStatus, DeviceChange, DeviceOutcome, Outcome, Stop, normalize_iccid
from pondctl.services.running.actor import Actor, raise_if_stopped
from pondctl.services.running.run import Run, claimed_run, new_run_id

_ENDS = (BulkStatus.PROCESSED, BulkStatus.ERROR)
_LOOK_SECONDS = 0.5
_BATCH = ROWS_A_STATEMENT


@dataclass(frozen=True, slots=True)
class BulkCancel:
    """Everything `bulk cancel` works with. `wait_seconds`: so long a run that is at work may take to stop."""

    database: Database
    actor: Actor
    allowed: frozenset[int]
    wait_seconds: float
    stop: Stop

    def check(self, bulk_change_id: int) -> int:
        """How many rows are open. Raises what forbids to cancel them."""
        if not (self.actor.reason or "").strip():
            raise UsageError("a cancellation needs a reason", hint='add --reason "why", it is kept on record')
        summary = self.database.read(lambda unit: unit.bulk_changes.summary(bulk_change_id))
        provider = summary.bulk_change.service_provider_id
        if self.allowed and provider not in self.allowed:
            raise PermissionDeniedError(
                f"bulk change {bulk_change_id} belongs to service provider {provider}, "
                "which is not among access.service_provider_ids"
            )
        return summary.devices - summary.settled

    def run(self, bulk_change_id: int, *, dry_run: bool = False) -> Mapping[str, object]:
        """Cancel it, and say what that came to. In a dry run: what it would come to.

        Raises `BusyError` naming the run that holds it where that does not stop in time.
        """
        if dry_run:
            return self._would(bulk_change_id)
        run_id, deadline = new_run_id(), time.monotonic() + self.wait_seconds
        while True:
            try:
                with claimed_run(
                    self.database,
                    self.stop,
                    run_id=run_id,
                    command="bulk cancel",
                    target=f"bulk_change:{bulk_change_id}",
                    actor=self.actor,
                    arguments={"bulk_change_id": bulk_change_id},
                ) as run:
                    return _Cancelling(self, bulk_change_id, run).finish()
            except BusyError:
                if not self._has_stopped(bulk_change_id, deadline):
                    raise

    def _would(self, bulk_change_id: int) -> Mapping[str, object]:
        def read(unit: Unit) -> Mapping[str, object]:
            summary = unit.bulk_changes.summary(bulk_change_id)
            waiting, run = unit.messages.waiting_for(bulk_change_id), _holder(unit, bulk_change_id)
            return {
                "id": str(bulk_change_id),
                "dry_run": True,
                "status": summary.bulk_change.status,
                "cancelled": summary.devices - summary.settled,
                "settled_before": summary.settled,
                "checks_closed": len(waiting),
                "run": run,
            }

        return self.database.read(read)

    def _has_stopped(self, bulk_change_id: int, deadline: float) -> bool:
        """Ask the holder to stop, and wait for it."""
        holder = self.database.read(lambda unit: _holder(unit, bulk_change_id))
        if holder is not None:
            self.database.write(lambda unit: unit.runs.request_cancel(holder, self.actor.reason))
        while time.monotonic() < deadline and not self.stop.wait(_LOOK_SECONDS):
            if self.database.read(lambda unit: _holder(unit, bulk_change_id)) != holder:
                return True
        raise_if_stopped(self.stop, f"the run {holder} was asked to stop; nothing else was changed")
        return False


class _Cancelling:
    """One cancellation, batch by batch; cut anywhere, the next one goes on."""

    def __init__(self, cancel: BulkCancel, bulk_change_id: int, run: Run) -> None:
        self._cancel = cancel
        self._bulk_change_id = bulk_change_id
        self._run = run
        self._reason = (cancel.actor.reason or "").strip()
        self._count = self._closed = self._after = 0

    def finish(self) -> Mapping[str, object]:
        more = True
        while more:
            raise_if_stopped(self._cancel.stop, "what is left stays open; run it again")
            batch, more = self._cancel.database.write(self._batch)
            self._count += len(batch)
            self._after = batch[-1].id if batch else 0
        summary = self._cancel.database.read(lambda unit: unit.bulk_changes.summary(self._bulk_change_id))
        return {
            "id": str(self._bulk_change_id),
            "dry_run": False,
            "status": summary.bulk_change.status,
            "cancelled": self._count,
            "settled_before": summary.settled - self._count,
            "checks_closed": self._closed,
            "run_id": self._run.run_id,
        }

    def _batch(self, unit: Unit) -> tuple[list[DeviceChange], bool]:
        """Settle some rows; the last of them together with header and checks: no cut comes between."""
        self._run.fence(unit)
        page = unit.device_changes.page_unsettled(self._bulk_change_id, self._after, _BATCH + 1)
        batch, more = page[:_BATCH], len(page) > _BATCH
        self._settle(unit, batch)
        if not more:
            self._close(unit, self._count + len(batch))
        return batch, more

    def _settle(self, unit: Unit, rows: Sequence[DeviceChange]) -> None:
        if not rows:
            return
        details = f"{Category.CANCELLED}: {self._reason}"
        unit.device_changes.settle_alike([row.id for row in rows], details)
        unit.change_log.add([self._entry(details, "cancelled", row.id) for row in rows])
        unit.outcomes.add(self._run.run_id, [self._outcome(row) for row in rows])

    def _close(self, unit: Unit, cancelled: int) -> None:
        header = unit.bulk_changes.get(self._bulk_change_id)
        if cancelled:
            unit.bulk_changes.set_status(self._bulk_change_id, BulkStatus.ERROR)
            said = f"{cancelled} devices given up"
            unit.change_log.add([self._entry(f"{Category.CANCELLED}: {self._reason}", said, None)])
        elif header.status not in _ENDS:
            # Nothing was open: the header says what its rows say; one without rows is given up.
            rows = unit.device_changes.page(self._bulk_change_id, 0, 1)
            unit.bulk_changes.set_status(
                self._bulk_change_id, BulkStatus.PROCESSED if rows else BulkStatus.ERROR
            )
        self._closed = unit.messages.cancel_for(self._bulk_change_id)
        unit.runs.finish(self._run.run_id, "done", {Category.CANCELLED: cancelled}, None)

    def _entry(self, details: str, what: str, row_id: int | None) -> ChangeLogEntry:
        return ChangeLogEntry(
            bulk_change_id=self._bulk_change_id,
            device_change_id=row_id,
            description=f"pondctl bulk cancel: {what}",
            has_errors=True,
            error_text=details,
            request_text=f"run {self._run.run_id}",
            response_status=BulkStatus.API_FAILED if row_id else BulkStatus.ERROR,
        )

    def _outcome(self, row: DeviceChange) -> DeviceOutcome:
        return DeviceOutcome(
            normalize_iccid(row.iccid) or row.iccid or "",
            Outcome.FAILED,
            category=Category.CANCELLED,
            detail=self._reason,
            device_change_id=row.id,
        )


def _holder(unit: Unit, bulk_change_id: int) -> str | None:
    run = unit.runs.open_for(f"bulk_change:{bulk_change_id}")
    return run.run_id if run else None
