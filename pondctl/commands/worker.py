"""`pondctl worker`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._life_cycle import life_cycle
from pondctl.commands._options import NoProgress, OutputFormat, RequestsPerSecond, Workers
from pondctl.context import AppContext

if TYPE_CHECKING:
    from pondctl.services.queueing.health import HealthFile
    from pondctl.services.queueing.tally import Tally, WorkerOptions


@needs("operator")
def worker(
    ctx: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="End when the queue is empty and the outbox is sent.")
    ] = False,
    max_messages: Annotated[
        int | None, typer.Option("--max-messages", min=1, help="End after so many messages.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=64, help="Bulk changes worked on at once.")
    ] = 4,
    max_runtime: Annotated[
        str | None, typer.Option("--max-runtime", metavar="TIME", help="End after that time: 90s, 50m, 8h.")
    ] = None,
    health_file: Annotated[
        Path | None,
        typer.Option("--health-file", metavar="FILE", help="File that says when the loop last came round."),
    ] = None,
    output: OutputFormat = None,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """Consume the queue: check bulk changes when they are due, retry what was deferred."""
    from pondctl.services._duration import read_duration
    from pondctl.services.queueing.health import HealthFile
    from pondctl.services.queueing.tally import WorkerOptions

    app: AppContext = ctx.obj
    app.use(output=output, progress=not no_progress, requests_per_second=rps, workers=workers)
    options = WorkerOptions(
        once=once,
        max_messages=max_messages,
        concurrency=concurrency,
        max_runtime_seconds=None if max_runtime is None else read_duration(max_runtime),
        patience_seconds=app.settings.limits.outage_seconds,
    )
    health = HealthFile(health_file) if health_file else None
    if not sys.stderr.isatty():
        app.start_logging(service=True)
    app.announce()
    app.queueing.require_reachable()
    tally = _consume(app, options, health)
    app.output.record(tally.as_record(), exit_code=tally.exit_code)
    raise typer.Exit(tally.exit_code)


def _consume(app: AppContext, options: WorkerOptions, health: HealthFile | None) -> Tally:
    """Work, with a line that says how far; at the end nothing may be left that could not be sent."""
    from pondctl.services.worker import Worker

    queueing = app.queueing
    with app.output.status_line() as line:

        def watch(tally: Tally, in_hand: int) -> None:
            line.show(f"{tally.received} messages, {in_hand} in hand, {tally.dead} dead letters")
            if health:
                health.write(tally, in_hand)

        handling = queueing.handling(partial(life_cycle, app))
        job = Worker(queueing.queue, handling, app.stop, options, chores=queueing.chores, watch=watch)
        tally = job.run()
    if options.once and queueing.outbox is not None:
        queueing.outbox.require_all_sent()
    return tally
