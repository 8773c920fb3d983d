"""The two ways in which rows are tried again: a status check at ThingSpace, a life cycle at POND."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from pondctl.errors import PondctlError, UsageError
from pondctl.models import Carrier, Outcome, RunResult
from pondctl.services._row_ids import RowIds
from pondctl.services.failures.scope import FailedScope, Share
from pondctl.services.lifecycle.chosen_scope import ChosenScope
from pondctl.services.lifecycle.life_cycle import LifeCycle
from pondctl.services.lifecycle.limits import check_start
from pondctl.services.lifecycle.request import LifeRequest
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run
from pondctl.services.sync_bulk import SyncBulk, SyncRequest

_AGAIN: Final = "run the same pondctl retry-failed again"


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """What one `retry-failed` is asked to do with its scope."""

    enqueue: bool = False
    workers: int = 8
    dry_run: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ways:
    """Builds what is needed when it is needed: a profile may know one carrier alone."""

    request: RetryRequest
    sync_bulk: Callable[[], SyncBulk]
    life_cycle: Callable[[], LifeCycle]

    def check(self, scope: FailedScope) -> None:
        """Raise what forbids any part of the scope, before anything is begun."""
        for share in scope.shares.values():
            if share.carrier is Carrier.THINGSPACE:
                self.sync_bulk()
            else:
                self._check_life_cycle(share, scope.terminations)

    def go(self, share: Share, rows: RowIds, run: Run | None, report: Report) -> RunResult:
        """Try the rows again within a run that holds the bulk change; None: only look."""
        if share.carrier is Carrier.THINGSPACE:
            asked = self.request
            sync = SyncRequest(share.bulk_change.id, workers=asked.workers, dry_run=asked.dry_run, only=rows)
            return self.sync_bulk().run(sync, report, within=run)
        return self._live(share, rows, run, report)

    def _check_life_cycle(self, share: Share, terminations: int) -> None:
        life_cycle = self.life_cycle()
        rows = RowIds(share.failed + share.open)
        scope = self._scope(life_cycle, share, rows, as_if_open=True)
        check_start(self._request(share), life_cycle.limits, scope)
        most = life_cycle.limits.max_terminations
        if terminations > most and not self.request.dry_run:
            raise UsageError(
                f"{terminations:,} terminations are more than limits.max_terminations_per_run "
                f"({most:,}) allows",
                hint="nothing was started; --limit takes fewer",
            )

    def _live(self, share: Share, rows: RowIds, run: Run | None, report: Report) -> RunResult:
        life_cycle = self.life_cycle()
        request = self._request(share)
        scope = self._scope(life_cycle, share, rows, as_if_open=self.request.dry_run)
        try:
            result = life_cycle.run(request, scope, report, within=run)
        except PondctlError as error:
            # The life cycle would name its own command, which takes every open row of the bulk change.
            error.hint = _AGAIN
            raise
        hints = []
        if result.counts.get(Outcome.UNKNOWN):
            hints.append(f"unknown ones are read back first when you {_AGAIN}")
        if result.counts.get(Outcome.DEFERRED) and result.retry is None:
            hints.append(
                f"deferred: `pondctl {share.operation} --bulk-change {share.bulk_change.id}` goes on"
            )
        return replace(result, hints=() if self.request.dry_run else tuple(hints))

    def _request(self, share: Share) -> LifeRequest:
        return LifeRequest(
            share.operation,
            bulk_change_id=share.bulk_change.id,
            reason=self.request.reason,
            workers=self.request.workers,
            dry_run=self.request.dry_run,
        )

    def _scope(self, life_cycle: LifeCycle, share: Share, rows: RowIds, *, as_if_open: bool) -> ChosenScope:
        return ChosenScope(
            life_cycle.database, share.bulk_change.id, self._request(share), rows, as_if_open=as_if_open
        )
