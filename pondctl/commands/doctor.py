"""`pondctl doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import OutputFormat
from pondctl.context import AppContext
from pondctl.errors import PondctlError
from pondctl.models import EMBEDDED_QUEUE

if TYPE_CHECKING:
    from pondctl.services.doctor import Probe
    from pondctl.services.doctoring.found import Found


@needs("admin", looks=lambda given: not given["reset_lockout"])
def doctor(
    ctx: typer.Context,
    reset_lockout: Annotated[
        bool,
        typer.Option(
            "--reset-lockout", help="First forget the refused ThingSpace logins: their cause is mended."
        ),
    ] = False,
    output: OutputFormat = None,
) -> None:
    """Look whether everything that pondctl needs is there and works, and say how to mend what does not."""
    from pondctl.output.tables import Column
    from pondctl.services.doctor import examine

    app: AppContext = ctx.obj
    app.use(output=output, dry_run=True)
    if reset_lockout:
        app.announce()
        app.carriers.shared_tokens.clear_refusals()
        app.output.note("the refused ThingSpace logins of these credentials are forgotten")
    result = examine(_probes(app))
    columns = [Column(name, fold=name in ("message", "remedy")) for name in _COLUMNS]
    app.output.table(result.rows, columns, exit_code=result.exit_code)
    raise typer.Exit(result.exit_code)


_COLUMNS = ("level", "subject", "message", "remedy")


def _probes(app: AppContext) -> Sequence[Probe]:
    """Each builds what it needs when it is asked: what cannot be built is what it finds."""
    from pondctl.services.doctor import Probe
    from pondctl.services.doctoring import host, stores

    probes = [Probe("settings", lambda: host.ask_settings(app.settings))]
    try:
        settings = app.settings
    except PondctlError:
        return probes
    probes.append(Probe("files", lambda: host.ask_files(settings)))
    try:
        # Built before the threads are: two of them would build it twice.
        file = app.database.host_address.file
    except PondctlError:
        probes.append(Probe("database", lambda: stores.ask_server(app.database)))
    else:
        probes += [Probe("disk", lambda: host.ask_disks(settings, file)), *_database_probes(app)]
        probes.append(Probe("queue", partial(_ask_queue, app)))
    if settings.thingspace.client_id:
        probes += _thingspace_probes(app)
    if settings.pond.base_url:
        probes += _pond_probes(app)
    return probes


def _database_probes(app: AppContext) -> list[Probe]:
    from pondctl.services.doctor import Probe
    from pondctl.services.doctoring import standing, stores

    return [
        Probe("database", lambda: stores.ask_server(app.database)),
        Probe("tables", lambda: stores.ask_tables(app.database, app.settings.access.role)),
        Probe("runs", lambda: standing.ask_runs(app.database)),
        Probe("alerts", lambda: standing.ask_alerts(app.telemetry.watch)),
    ]


def _ask_queue(app: AppContext) -> Iterator[Found]:
    from pondctl.clients.sqs import SqsQueue
    from pondctl.services.doctoring.stores import QueueProbe

    queueing = app.queueing
    queue = None if app.queue_name == EMBEDDED_QUEUE else queueing.queue
    sqs = queue if isinstance(queue, SqsQueue) else None
    return QueueProbe(app.settings, sqs, queueing.dead_letters, queueing.foreign).ask()


def _thingspace_probes(app: AppContext) -> list[Probe]:
    from pondctl.services.doctor import Probe
    from pondctl.services.doctoring import carriers
    from pondctl.services.doctoring.tokens import LookingTokenStore

    settings = app.settings.thingspace

    def ask() -> Iterator[Found]:
        app.settings.require("thingspace.client_secret", "thingspace.username", "thingspace.password")
        tokens = cache(lambda: LookingTokenStore(app.carriers.shared_tokens))
        account = settings.account_name
        return carriers.ask_thingspace(lambda: app.carriers.open_thingspace(tokens()), tokens, account)

    return [
        Probe("thingspace server", lambda: carriers.ask_server(settings.base_url)),
        Probe("thingspace", ask),
    ]


def _pond_probes(app: AppContext) -> list[Probe]:
    from pondctl.services.doctor import Probe
    from pondctl.services.doctoring import carriers

    settings = app.settings.pond
    return [
        Probe("pond server", lambda: carriers.ask_server(settings.base_url)),
        Probe(
            "pond", lambda: carriers.ask_pond(lambda: app.carriers.pond, write_enabled=settings.write_enabled)
        ),
    ]
