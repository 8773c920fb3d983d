"""`pondctl terminate ICCID…`."""

from __future__ import annotations

from typing import Annotated

import typer

from pondctl.commands import _life_cycle
from pondctl.commands._access import dry_run, needs
from pondctl.commands._life_cycle import (
    BulkChangeOption,
    Confirm,
    FromFile,
    Iccids,
    ServiceProvider,
    SkipInvalid,
    WithoutBilling,
)
from pondctl.commands._options import (
    DryRun,
    NoProgress,
    OutputFormat,
    Reason,
    RequestsPerSecond,
    Workers,
    Yes,
)
from pondctl.context import AppContext


@needs("operator", looks=dry_run)
def terminate(
    ctx: typer.Context,
    iccids: Iccids = None,
    from_file: FromFile = None,
    bulk_change: BulkChangeOption = None,
    package: Annotated[
        str | None, typer.Option("--package", metavar="ID", help="Only this package of the one device.")
    ] = None,
    reason: Reason = None,
    yes: Yes = False,
    confirm: Confirm = None,
    without_billing: WithoutBilling = False,
    service_provider: ServiceProvider = None,
    skip_invalid: SkipInvalid = False,
    output: OutputFormat = None,
    dry_run: DryRun = False,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """End every package of devices at POND, for good. Needs --reason; a locked device is left alone."""
    from pondctl.models import Operation
    from pondctl.services.lifecycle.request import LifeRequest

    app: AppContext = ctx.obj
    app.use(
        output=output,
        progress=not no_progress,
        requests_per_second=rps,
        workers=workers,
        dry_run=dry_run,
    )
    request = LifeRequest(
        Operation.TERMINATE,
        bulk_change_id=bulk_change,
        package_id=package,
        without_billing=without_billing,
        service_provider_id=service_provider,
        reason=reason,
        workers=workers,
        dry_run=dry_run,
    )
    service, scope = _life_cycle.begin(app, request, iccids, from_file, skip_invalid=skip_invalid)
    _life_cycle.confirm_end(app, service, request, scope, yes=yes, confirm=confirm)
    _life_cycle.run(app, service, request, scope)
