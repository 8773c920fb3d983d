"""`pondctl activate ICCID…`."""

from __future__ import annotations

from typing import Annotated

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
def activate(
    ctx: typer.Context,
    iccids: Iccids = None,
    from_file: FromFile = None,
    bulk_change: BulkChangeOption = None,
    package_type: Annotated[
        int | None,
        typer.Option("--package-type", metavar="ID", min=1, max=2**63 - 1, help="Type of package wanted."),
    ] = None,
    keep_existing: Annotated[
        bool, typer.Option("--keep-existing", help="Leave other ACTIVE packages as they are.")
    ] = False,
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
    """Give devices exactly one ACTIVE package of a type at POND, and end their other ACTIVE ones."""
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
        Operation.ACTIVATE,
        bulk_change_id=bulk_change,
        package_type_id=package_type,
        keep_existing=keep_existing,
        without_billing=without_billing,
        service_provider_id=service_provider,
        reason=reason,
        workers=workers,
        dry_run=dry_run,
    )
    service, scope = _life_cycle.begin(app, request, iccids, from_file, skip_invalid=skip_invalid)
    _life_cycle.run(app, service, request, scope)
