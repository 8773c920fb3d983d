"""`pondctl sync-bulk ID`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pondctl.commands._access import dry_run, needs
from pondctl.commands._options import (
    BulkChangeId,
    DryRun,
    NoProgress,
    OutputFormat,
    RequestsPerSecond,
    Workers,
)
from pondctl.context import AppContext


@needs("operator", looks=dry_run)
def sync_bulk(
    ctx: typer.Context,
    bulk_change_id: BulkChangeId,
    strategy: Annotated[
        Literal["auto", "lookup", "scan"],
        typer.Option(help="Ask device by device, read the whole account, or what is cheaper."),
    ] = "auto",
    no_enqueue: Annotated[
        bool, typer.Option("--no-enqueue", help="Queue no next check for devices that are not ready.")
    ] = False,
    accept_not_found: Annotated[
        bool,
        typer.Option("--accept-not-found", help="Settle devices as failed even if most are unknown."),
    ] = False,
    output: OutputFormat = None,
    dry_run: DryRun = False,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """Bring ThingSpace status and MSISDN into a bulk change; complete it, or queue the next check."""
    from pondctl.models import Strategy
    from pondctl.services.sync_bulk import SyncRequest

    app: AppContext = ctx.obj
    app.use(
        output=output,
        progress=not no_progress,
        requests_per_second=rps,
        workers=workers,
        dry_run=dry_run,
    )
    request = SyncRequest(
        bulk_change_id,
        strategy=Strategy(strategy),
        workers=workers,
        dry_run=dry_run,
        enqueue=not no_enqueue,
        accept_not_found=accept_not_found,
    )
    app.announce()
    with app.output.results("sync-bulk") as report:
        result = app.sync_bulk.run(request, report)
    raise typer.Exit(result.exit_code)
