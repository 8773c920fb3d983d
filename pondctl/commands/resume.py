"""`pondctl resume ICCID…`."""

from __future__ import annotations

import typer

from pondctl.commands import _life_cycle
from pondctl.commands._access import dry_run, needs
from pondctl.commands._life_cycle import (
    BulkChangeOption,
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
    YesNobodyAsks,
)
from pondctl.context import AppContext


@needs("operator", looks=dry_run)
def resume(
    ctx: typer.Context,
    iccids: Iccids = None,
    from_file: FromFile = None,
    bulk_change: BulkChangeOption = None,
    without_billing: WithoutBilling = False,
    service_provider: ServiceProvider = None,
    skip_invalid: SkipInvalid = False,
    reason: Reason = None,
    output: OutputFormat = None,
    dry_run: DryRun = False,
    yes: YesNobodyAsks = False,
    workers: Workers = 8,
    rps: RequestsPerSecond = None,
    no_progress: NoProgress = False,
) -> None:
    """Switch data, voice and SMS of devices on again at POND; their packages stay."""
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
        Operation.RESUME,
        bulk_change_id=bulk_change,
        without_billing=without_billing,
        service_provider_id=service_provider,
        reason=reason,
        workers=workers,
        dry_run=dry_run,
    )
    service, scope = _life_cycle.begin(app, request, iccids, from_file, skip_invalid=skip_invalid)
    _life_cycle.run(app, service, request, scope)
