"""A program of probe commands: what the real entry point makes of things that no real command does."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pondctl.cli import Entry, main
from pondctl.commands._access import needs
from pondctl.commands._options import OutputFormat
from pondctl.context import AppContext
from pondctl.errors import InterruptedRunError, TerminatedRunError, UnavailableError


def sleeper() -> None:
    """Wait, and never look at the stop."""
    typer.echo("ready")
    time.sleep(60)


def orderly(ctx: typer.Context) -> None:
    """Wait for the stop, then end in order."""
    app: AppContext = ctx.obj
    stop = app.stop
    typer.echo("ready")
    stop.wait(60)
    kind = InterruptedRunError if stop.why == "sigint" else TerminatedRunError
    raise kind("stopped", hint="pondctl orderly")


def stubborn(ctx: typer.Context) -> None:
    """Take the stop and ignore it."""
    app: AppContext = ctx.obj
    stop = app.stop
    typer.echo("ready")
    stop.wait(60)
    time.sleep(60)


def crash(ctx: typer.Context, text: str, output: OutputFormat = None) -> None:
    """Have a bug."""
    app: AppContext = ctx.obj
    app.use(output=output)
    raise ValueError(f"cannot use {text}, password=Planted-1")


def fail(ctx: typer.Context, output: OutputFormat = None) -> None:
    """End with an error of ours."""
    app: AppContext = ctx.obj
    app.use(output=output)
    raise UnavailableError("the carrier is away", hint="try later")


def pour(lines: Annotated[int, typer.Argument(help="How many.")]) -> None:
    """Write many lines."""
    for number in range(lines):
        typer.echo(f"line {number} " + "x" * 60)


def ask(ctx: typer.Context) -> None:
    """Ask by Typer."""
    typer.confirm("Go on?", abort=True)


def report(ctx: typer.Context) -> None:
    """Tell what the shared options became."""
    app: AppContext = ctx.obj
    typer.echo(f"{app.profile} {app.config_file} {app.verbose} {app.quiet} {app.log_format}")


PROBES = (sleeper, orderly, stubborn, crash, fail, pour, ask, report)

if __name__ == "__main__":
    main(commands=[Entry("Try", probe.__name__, needs("viewer")(probe)) for probe in PROBES])
