"""`pondctl status`."""

from __future__ import annotations

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import OutputFormat
from pondctl.context import AppContext
from pondctl.errors import ExitCode


@needs("viewer")
def status(ctx: typer.Context, output: OutputFormat = None) -> None:
    """Show on one screen what is open, what waits and what is stuck."""
    from pondctl.services.status import show_status

    app: AppContext = ctx.obj
    app.use(output=output)
    gauges, alerts = app.telemetry.look(ask_sqs=True)
    record = show_status(
        app.database, profile=app.settings.profile, gauges=gauges, alerts=alerts, tokens=app.telemetry.tokens
    )
    # What SQS did not tell is shown as unknown; that it is not known is worth an exit code.
    code = ExitCode.OK if gauges.queue is not None else ExitCode.UNAVAILABLE
    app.output.record(record, exit_code=code, parts=True)
    raise typer.Exit(code)
