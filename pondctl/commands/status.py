"""`pondctl status`."""

from __future__ import annotations

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import OutputFormat
from pondctl.context import AppContext


@needs("viewer")
def status(ctx: typer.Context, output: OutputFormat = None) -> None:
    """Show on one screen what is open, what waits and what is stuck."""
    from pondctl.services.status import show_status

    app: AppContext = ctx.obj
    app.use(output=output)
    tokens = app.token_store if app.settings.thingspace.client_id else None
    app.output.record(
        show_status(app.database, profile=app.settings.profile, queue_name=app.queue_name, tokens=tokens)
    )
