"""`pondctl config show|init`."""

from __future__ import annotations

from typing import Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import OutputFormat
from pondctl.context import AppContext

app = typer.Typer(no_args_is_help=True, help="See the settings and where they come from; begin a file.")


@app.command()
@needs("viewer")
def show(ctx: typer.Context, output: OutputFormat = None) -> None:
    """Show every setting in force and where it comes from; secrets are never shown."""
    from pondctl.services.config import show_settings

    context: AppContext = ctx.obj
    context.use(output=output)
    context.output.record(show_settings(context.settings))


@app.command()
@needs("viewer")
def init(
    ctx: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a file with every setting, its default and one line of explanation."""
    from pondctl.services.config import init_config

    context: AppContext = ctx.obj
    path = init_config(context.config_file, context.profile, force=force)
    context.output.note(f"written: {path}; fill it in, then `pondctl config show` and `pondctl db check`")
