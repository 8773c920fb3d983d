"""`pondctl ingest FILE|-`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pondctl.commands._access import dry_run, needs
from pondctl.commands._options import DryRun, NoProgress, OutputFormat, RequestsPerSecond, Workers
from pondctl.context import AppContext


@needs("operator", looks=dry_run)
def ingest(
    ctx: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CarrierService documents: one, a JSON array of them, or one a line; - reads stdin.",
        ),
    ],
    output: OutputFormat = None,
    dry_run: DryRun = False,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """Take ThingSpace notifications as hints: look up the devices they name that are waited for."""
    from pondctl.services.ingest import IngestRequest
    from pondctl.services.queueing.hints import read_hints

    app: AppContext = ctx.obj
    app.use(
        output=output,
        progress=not no_progress,
        requests_per_second=rps,
        workers=workers,
        dry_run=dry_run,
    )
    hints = read_hints(file, sys.stdin.buffer)
    app.announce()
    with app.output.results("ingest") as report:
        result = app.queueing.ingest.run(hints, IngestRequest(workers, dry_run), report)
    raise typer.Exit(result.exit_code)
