"""`pondctl worker`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._life_cycle import life_cycle
from pondctl.commands._options import NoProgress, OutputFormat, RequestsPerSecond, Workers
from pondctl.context import AppContext


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
    from pondctl.services.queueing.tally import Tally, WorkerOptions
    from pondctl.services.worker import Worker

    app: AppContext = ctx.obj
    app.use(output=output, progress=not no_progress, requests_per_second=rps, workers=workers)
    options = WorkerOptions(
        once=once,
        max_messages=max_messages,
        concurrency=concurrency,
        max_runtime_seconds=read_duration(max_runtime) if max_runtime else None,
        patience_seconds=app.settings.limits.outage_seconds,
    )
    health = HealthFile(health_file) if health_file else None
    if not sys.stderr.isatty():
        app.start_logging(service=True)
    app.announce()
    app.queueing.require_reachable()
    with app.output.status_line() as line:

        def watch(tally: Tally, in_hand: int) -> None:
            line.show(f"{tally.received} messages, {in_hand} in hand, {tally.dead} dead letters")
            if health:
                health.write(tally, in_hand)

        handling = app.queueing.handling(partial(life_cycle, app))
        job = Worker(app.queueing.queue, handling, app.stop, options, chores=app.queueing.chores, watch=watch)
        tally = job.run()
    app.output.record(tally.as_record(), exit_code=tally.exit_code)
    raise typer.Exit(tally.exit_code)
