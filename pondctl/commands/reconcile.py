"""`pondctl reconcile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import DryRun, NoProgress, OutputFormat, RequestsPerSecond, Workers
from pondctl.context import AppContext
from pondctl.errors import ConfirmationMissingError, UsageError

if TYPE_CHECKING:
    from pondctl.services.drift.report import ReconcileRequest
    from pondctl.services.reconcile import Reconcile


@needs("admin", looks=lambda given: given["dry_run"] or not given["apply"])
def reconcile(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Only look (the default); exit 5 on drift.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Mend the database, with --max-changes, or what --plan names.")
    ] = False,
    max_changes: Annotated[
        int | None,
        typer.Option("--max-changes", metavar="N", min=0, help="Above so many changes write nothing."),
    ] = None,
    plan_out: Annotated[
        Path | None, typer.Option("--plan-out", metavar="FILE", help="Write what would be done, for review.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="With --apply: do what this reviewed plan says."),
    ] = None,
    bulk_change: Annotated[
        int | None,
        typer.Option("--bulk-change", metavar="ID", min=1, max=2**63 - 1, help="This bulk change alone."),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Hold the database against itself; ask no carrier.")
    ] = False,
    max_runtime: Annotated[
        str | None,
        typer.Option("--max-runtime", metavar="TIME", help="Stop looking after that time: 90s, 50m, 8h."),
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="PROFILE", help="The protected profile that is really meant."),
    ] = None,
    output: OutputFormat = None,
    dry_run: DryRun = False,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """Hold the database against ThingSpace and POND; report what differs, mend what is safe to mend."""
    from pondctl.services._duration import read_duration
    from pondctl.services.drift.report import ReconcileRequest

    app: AppContext = ctx.obj
    app.use(
        output=output,
        progress=not no_progress,
        requests_per_second=rps,
        workers=workers,
        dry_run=dry_run,
    )
    request = ReconcileRequest(
        apply=apply,
        max_changes=max_changes,
        plan=plan,
        plan_out=plan_out,
        bulk_change_id=bulk_change,
        local=local,
        max_runtime_seconds=read_duration(max_runtime) if max_runtime else None,
        workers=workers,
        confirmed=_is_confirmed(app, confirm),
        dry_run=dry_run,
    )
    _check(request, check=check)
    app.announce()
    service = _service(app, request)
    with app.output.drift() as report:
        result = service.run(request, report)
    raise typer.Exit(result.exit_code)


def _check(request: ReconcileRequest, *, check: bool) -> None:
    if check and request.apply:
        raise UsageError("--check only looks and --apply writes: give one of them")
    if not request.apply and (request.plan is not None or request.max_changes is not None):
        raise UsageError("--plan and --max-changes say how far --apply may go", hint="add --apply")
    if not request.apply:
        return
    if (request.plan is None) == (request.max_changes is None):
        raise UsageError(
            "--apply needs a limit: --max-changes N, or --plan FILE",
            hint="`pondctl reconcile` says how many changes there are",
        )
    if request.plan_out is not None:
        raise UsageError("--plan-out writes a plan to be reviewed: it does not go with --apply")
    if request.plan is not None and (request.local or request.bulk_change_id is not None):
        raise UsageError("--plan says itself what it is about: leave out --local and --bulk-change")


def _is_confirmed(app: AppContext, confirm: str | None) -> bool:
    profile = app.settings.profile
    if confirm is not None and confirm != profile:
        raise ConfirmationMissingError(f"--confirm {confirm} is another profile: this is {profile}")
    return confirm is not None


def _service(app: AppContext, request: ReconcileRequest) -> Reconcile:
    from pondctl.config import database_place
    from pondctl.services.drift.carrier import CarrierLimits
    from pondctl.services.drift.look import Sides
    from pondctl.services.reconcile import Reconcile

    settings = app.settings
    thingspace, pond, limits = settings.thingspace, settings.pond, settings.limits
    asks_thingspace = bool(thingspace.client_id or thingspace.username) and not request.local
    asks_pond = bool(pond.api_key or pond.distributor_id is not None) and not request.local
    providers = pond.service_provider_ids or settings.access.service_provider_ids
    places = (settings.database_url(), settings.database.state_url.reveal())
    sides = Sides(
        thingspace=app.carriers.thingspace if asks_thingspace else None,
        pond=app.carriers.pond if asks_pond else None,
        account=thingspace.account_name,
        limits=CarrierLimits(
            distributor_id=pond.distributor_id or 0,
            fallback_provider=providers[0] if len(providers) == 1 else 0,
            allowed_providers=frozenset(settings.access.service_provider_ids),
            settle_seconds=pond.settle_seconds,
            max_error_rate=limits.max_error_rate,
            max_replacements=limits.max_replacements_per_run,
            write_enabled=pond.write_enabled,
        ),
        queue_name=app.queue_name,
        quiet_seconds=settings.queue.pending_check_seconds,
    )
    return Reconcile(
        database=app.database,
        sides=sides,
        rules=app.queueing.rules,
        actor=app.actor(),
        stop=app.stop,
        database_name=" ".join(database_place(place) for place in places if place),
        outbox=app.queueing.outbox if request.apply and not app.dry_run else None,
        protected=settings.protected,
    )
