"""`pondctl bulk list|show`."""

from __future__ import annotations

from typing import Annotated

import typer

from pondctl.commands._options import All, BulkChangeId, Limit, OutputFormat
from pondctl.context import AppContext

app = typer.Typer(no_args_is_help=True, help="Look at bulk changes.")


@app.command("list")
def list_(
    ctx: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only bulk changes with this status word.")] = None,
    limit: Limit = 100,
    all_: All = False,
    output: OutputFormat = None,
) -> None:
    """Show the newest bulk changes and how far each one is."""
    from pondctl.output.tables import Column
    from pondctl.services.bulk import list_bulk_changes

    app: AppContext = ctx.obj
    app.use(output=output)
    found = list_bulk_changes(app.database, limit=None if all_ else limit, status=status)
    names = ("id", "status", "type", "service_provider_id")
    numbers = ("devices", "settled", "with_errors", "without_msisdn")
    columns = [*(Column(n) for n in names), *(Column(n, right=True) for n in numbers), Column("created")]
    app.output.table(found.rows, columns, total=found.total, empty="there are no bulk changes")


@app.command("show")
def show(ctx: typer.Context, bulk_change_id: BulkChangeId, output: OutputFormat = None) -> None:
    """Show one bulk change: its header, its devices, and what waits for it."""
    from pondctl.services.bulk import show_bulk_change

    app: AppContext = ctx.obj
    app.use(output=output)
    app.output.record(show_bulk_change(app.database, bulk_change_id))
