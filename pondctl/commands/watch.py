"""`pondctl watch ID`."""

from __future__ import annotations

from typing import Annotated

import typer

from pondctl.commands import _bulk
from pondctl.commands._access import needs
from pondctl.commands._options import BulkChangeId, NoProgress, OutputFormat
from pondctl.context import AppContext
from pondctl.errors import ExitCode


@needs("viewer")
def watch(
    ctx: typer.Context,
    bulk_change_id: BulkChangeId,
    exit_status: Annotated[
        bool,
        typer.Option(
            "--exit-status", help="Exit as the bulk change ended: 0, 3 with errors, 8 if it did not yet."
        ),
    ] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Watch no longer than that: 90s, 2h.")
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", metavar="TIME", help="Time between two looks.")
    ] = "2s",
    output: OutputFormat = None,
    no_progress: NoProgress = False,
) -> None:
    """Watch a bulk change until it is settled: live on a terminal, a line for each change elsewhere."""
    from pondctl.services._duration import read_duration
    from pondctl.services.watch import Watch

    app: AppContext = ctx.obj
    app.use(output=output, progress=not no_progress)
    watching = Watch(
        _bulk.site(app),
        interval_seconds=read_duration(interval, option="--interval"),
        timeout_seconds=read_duration(timeout, option="--timeout") if timeout else None,
        stop=app.stop,
    )
    code = ExitCode.OK
    with app.output.watched() as view:
        gist: object = None
        for frame in watching.frames(bulk_change_id):
            view.show(frame.as_record(), changed=frame.gist != gist)
            gist = frame.gist
            code = frame.exit_code if exit_status else ExitCode.OK
        view.finish(code)
    raise typer.Exit(code)
