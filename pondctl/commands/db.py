"""`pondctl db init|upgrade|check|grants|prune`."""

from __future__ import annotations

from typing import Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import OutputFormat
from pondctl.context import AppContext

app = typer.Typer(no_args_is_help=True, help="Make, upgrade, check and prune the tables.")


@app.command()
@needs("admin", makes_tables=True)
def init(ctx: typer.Context, output: OutputFormat = None) -> None:
    """Make all tables in an empty database, pondctl's own and those of the host system."""
    from pondctl.services.db import init_database

    context: AppContext = ctx.obj
    context.use(output=output)
    context.announce()
    context.output.record(init_database(context.database))


@app.command()
@needs("admin", looks=lambda given: given["sql"], makes_tables=True)
def upgrade(
    ctx: typer.Context,
    sql: Annotated[bool, typer.Option("--sql", help="Print the script for a DBA; change nothing.")] = False,
    since: Annotated[
        str, typer.Option(metavar="REVISION", help="With --sql: the revision that is there already.")
    ] = "base",
    output: OutputFormat = None,
) -> None:
    """Bring pondctl's own tables up to this program; the host's are never touched."""
    from pondctl.services.db import upgrade_database, upgrade_script

    context: AppContext = ctx.obj
    context.use(output=output)
    if sql:
        typer.echo(upgrade_script(context.database, since), nl=False)
        return
    context.announce()
    context.output.record(upgrade_database(context.database))


@app.command()
@needs("viewer")
def check(ctx: typer.Context, output: OutputFormat = None) -> None:
    """Compare the real tables with what pondctl needs, and say what is missing; exit 2 or 4 if it is."""
    from pondctl.output.tables import Column
    from pondctl.services.db import check_database

    context: AppContext = ctx.obj
    context.use(output=output)
    found = check_database(context.database)
    columns = [Column(name) for name in ("level", "subject", "message", "remedy")]
    context.output.table(found.rows, columns, empty="nothing is missing", exit_code=found.exit_code)
    raise typer.Exit(found.exit_code)


@app.command()
@needs("viewer")
def grants(
    ctx: typer.Context,
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="User of the database that pondctl runs as.")],
) -> None:
    """Print the script that gives a login what pondctl needs at run time, and no more."""
    from pondctl.services.db import grants_script

    context: AppContext = ctx.obj
    typer.echo(grants_script(context.database, login), nl=False)


@app.command()
@needs("admin")
def prune(
    ctx: typer.Context,
    days: Annotated[
        int | None, typer.Option(min=1, help="Keep so many days, instead of limits.retention_days.")
    ] = None,
    output: OutputFormat = None,
) -> None:
    """Delete what ended before the retention; what is open, and the audit trail, stay."""
    from pondctl.services.db import prune_database

    context: AppContext = ctx.obj
    context.override("limits.retention_days", days)
    context.use(output=output)
    context.announce()
    context.output.record(prune_database(context.database, context.settings.limits.retention_days))
