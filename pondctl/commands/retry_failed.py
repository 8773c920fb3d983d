"""`pondctl retry-failed [ID…]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands._access import dry_run, needs
from pondctl.commands._life_cycle import Confirm, life_cycle
from pondctl.commands._options import (
    DryRun,
    NoProgress,
    OutputFormat,
    Reason,
    RequestsPerSecond,
    Workers,
    Yes,
)
from pondctl.context import AppContext
from pondctl.errors import Category, ConfirmationMissingError, DeclinedError, UsageError

if TYPE_CHECKING:
    from pondctl.services.failures.scope import FailedFilter, FailedScope
    from pondctl.services.failures.ways import RetryRequest
    from pondctl.services.retry_failed import RetryFailed

_CATEGORIES = ", ".join(str(category) for category in Category)


@needs("operator", looks=dry_run)
def retry_failed(
    ctx: typer.Context,
    bulk_change_ids: Annotated[
        list[int] | None,
        typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="Bulk changes; none: all, by a filter."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            metavar="CATEGORY",
            help=f"Failures to take, repeatable: {_CATEGORIES}, unknown (answer lost), other (the host's own "
            "words). Default: rate_limited, network, carrier_unavailable, database, retries_exhausted, "
            "unknown; all but these and authentication need --reason.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="AGE|DATE", help="Failed since: 2h, 3d, 2026-11-23, 2026-11-23T08:00Z."
        ),
    ] = None,
    iccid: Annotated[
        list[str] | None, typer.Option("--iccid", metavar="ICCID", help="Only this device; repeatable.")
    ] = None,
    from_file: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="Only devices of this file; - reads stdin."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many device changes, oldest first.")
    ] = None,
    enqueue: Annotated[
        bool, typer.Option("--enqueue", help="Queue one check for each bulk change instead of going on now.")
    ] = False,
    reason: Reason = None,
    yes: Yes = False,
    confirm: Confirm = None,
    output: OutputFormat = None,
    dry_run: DryRun = False,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """Take device changes that ended failed or unknown up again: now, or by a queued check."""
    from pondctl.services.failures.ways import RetryRequest

    app: AppContext = ctx.obj
    app.use(
        output=output,
        progress=not no_progress,
        requests_per_second=rps,
        workers=workers,
        dry_run=dry_run,
    )
    if not (bulk_change_ids or category or since or iccid or from_file):
        raise UsageError(
            "nothing is named: that would take every failed device change there is",
            hint="name bulk changes, or narrow with --category, --since, --iccid or --from",
        )
    wanted = _wanted(app, bulk_change_ids or (), category or (), since, iccid or (), from_file, limit, reason)
    app.announce()
    scope = _find(app, wanted)
    _confirm(app, scope, reason, yes=yes, confirm=confirm)
    service = _service(app, RetryRequest(enqueue, workers, dry_run, reason))
    with app.output.results("retry-failed") as report:
        result = service.run(scope, report)
    raise typer.Exit(result.exit_code)


def _wanted(
    app: AppContext,
    bulk_change_ids: Sequence[int],
    category: Sequence[str],
    since: str | None,
    iccids: Sequence[str],
    from_file: str | None,
    limit: int | None,
    reason: str | None,
) -> FailedFilter:
    from pondctl.services._since import read_since
    from pondctl.services.failures.reasons import chosen_failures
    from pondctl.services.failures.scope import FailedFilter
    from pondctl.services.targets.store import PackedIccids
    from pondctl.services.targets.targets import read_targets

    failures = chosen_failures(category, reason)
    devices = None
    if iccids or from_file is not None:
        found = read_targets(list(iccids), from_file, sys.stdin.buffer)
        for warning in found.warnings:
            app.output.warn(warning)
        devices = PackedIccids()
        for target in found:
            devices.add(target.iccid)
    return FailedFilter(
        failures,
        tuple(dict.fromkeys(bulk_change_ids)),
        devices,
        None if since is None else read_since(since, app.database.read(lambda unit: unit.now())),
        limit,
    )


def _find(app: AppContext, wanted: FailedFilter) -> FailedScope:
    """The exact scope, and the reasons, said before anything is touched."""
    from pondctl.services.failures.rows import FailedRows

    has_pond = bool(app.settings.pond.base_url)
    scope = FailedRows(app.database, app.queueing.rules, pond_has_the_rest=has_pond).find(wanted)
    for line in scope.lines():
        app.output.note(line)
    return scope


def _confirm(
    app: AppContext, scope: FailedScope, reason: str | None, *, yes: bool, confirm: str | None
) -> None:
    """Make sure that so many are meant; terminations, from the first on. Raises where that is not certain."""
    from pondctl.services.retry_failed import CONFIRMED_ABOVE

    ends, many, profile = scope.terminations, len(scope) > CONFIRMED_ABOVE, app.settings.profile
    if ends and not (reason or "").strip():
        raise UsageError("terminate needs a reason", hint='add --reason "why", it is kept on record')
    if app.dry_run or not (ends or many):
        return
    guarded = app.settings.protected and ends > CONFIRMED_ABOVE
    if (confirm is not None and confirm != profile) or (guarded and confirm is None):
        raise ConfirmationMissingError(
            f"profile {profile} is protected: terminating {ends:,} devices needs its name",
            hint=f"add --confirm {profile}",
        )
    if yes:
        return
    end = f", and terminate {ends:,} of them for good" if ends else ""
    what = f"Try {len(scope):,} device changes of {len(scope.shares):,} bulk changes again{end}?"
    if not app.output.confirm(what, str(len(scope)) if many and ends else None):
        raise DeclinedError("declined: nothing was taken up again")


def _service(app: AppContext, request: RetryRequest) -> RetryFailed:
    from pondctl.services.failures.ways import Ways
    from pondctl.services.retry_failed import RetryFailed

    return RetryFailed(
        database=app.database,
        ways=Ways(request, lambda: app.sync_bulk, lambda: life_cycle(app, request.reason)),
        actor=app.actor(request.reason),
        queue_name=app.queue_name,
        stop=app.stop,
        outbox=None if request.dry_run else app.queueing.outbox,
        life_checks_are_taken=app.settings.queue.accept_writes,
    )
