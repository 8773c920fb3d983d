"""`pondctl runs list|show|resume|cancel`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from pondctl.commands import _life_cycle
from pondctl.commands._access import needs
from pondctl.commands._life_cycle import Confirm
from pondctl.commands._options import (
    All,
    Limit,
    NoProgress,
    OutputFormat,
    Reason,
    RequestsPerSecond,
    Workers,
    Yes,
)
from pondctl.context import AppContext

app = typer.Typer(no_args_is_help=True, help="Look at runs, finish one, stop one.")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]


@app.command("list")
@needs("viewer")
def list_(
    ctx: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    command: Annotated[str | None, typer.Option(help="Only runs of this command.")] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Only runs whose process has died.")] = False,
    limit: Limit = 100,
    all_: All = False,
    output: OutputFormat = None,
) -> None:
    """Show the newest runs: who, what, when, how it ended."""
    from pondctl.output.tables import Column
    from pondctl.services.runs import RunFilter, list_runs

    context: AppContext = ctx.obj
    context.use(output=output)
    found = list_runs(context.database, None if all_ else limit, RunFilter(state, command, stale))
    names = ("id", "command", "state", "target", "actor", "started", "finished", "counts", "reason")
    columns = [Column(name, fold=name in ("counts", "reason")) for name in names]
    context.output.table(found, columns, empty="there are no runs")


@app.command("show")
@needs("viewer")
def show(
    ctx: typer.Context, run_id: RunId, limit: Limit = 100, all_: All = False, output: OutputFormat = None
) -> None:
    """Show one run: arguments, outcomes, steps, and the packages before and after."""
    from pondctl.services.runs import show_run

    context: AppContext = ctx.obj
    context.use(output=output)
    context.output.record(show_run(context.database, run_id, None if all_ else limit))


@app.command("cancel")
@needs("operator")
def cancel(ctx: typer.Context, run_id: RunId, reason: Reason = None, output: OutputFormat = None) -> None:
    """Stop a run on any host in an orderly way: nothing new is started, what is in flight is saved.

    A run whose process has died is ended."""
    from pondctl.services.runs import cancel_run

    context: AppContext = ctx.obj
    context.use(output=output)
    context.output.record(cancel_run(context.database, context.trail, run_id, reason))


@app.command("resume")
@needs("operator")
def resume(
    ctx: typer.Context,
    run_id: RunId,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = None,
    output: OutputFormat = None,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """Finish an interrupted run: the same arguments, for the devices it has not brought to their end."""
    from pondctl.models import Operation
    from pondctl.services.runs import end_dead_run

    context: AppContext = ctx.obj
    context.use(output=output, progress=not no_progress, requests_per_second=rps, workers=workers)
    context.announce()
    service = _life_cycle.life_cycle(context, reason)
    request, scope = service.resumed(run_id)
    request = replace(request, workers=workers, reason=reason or request.reason)
    service = replace(service, actor=context.actor(request.reason))
    if request.operation is Operation.TERMINATE:
        _life_cycle.confirm_end(context, service, request, scope, yes=yes, confirm=confirm)
    end_dead_run(context.database, context.trail, run_id)
    _life_cycle.run(context, service, request, scope)
