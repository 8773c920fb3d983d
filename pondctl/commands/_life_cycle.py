"""What the life-cycle commands and `runs resume` share: options, wiring, confirmation, the run itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.context import AppContext
from pondctl.errors import ConfirmationMissingError, DeclinedError, UsageError

if TYPE_CHECKING:
    from pondctl.services.lifecycle.life_cycle import LifeCycle
    from pondctl.services.lifecycle.request import LifeRequest
    from pondctl.services.lifecycle.scope import Scope
    from pondctl.services.targets.targets import Target

# For more devices the number is typed instead of a yes, and a protected profile is named.
_MANY = 10

Iccids = Annotated[list[str] | None, typer.Argument(metavar="[ICCID]...", help="Devices.")]
FromFile = Annotated[
    str | None,
    typer.Option("--from", metavar="FILE", help="File of devices, one a line or CSV; - reads stdin."),
]
BulkChangeOption = Annotated[
    int | None,
    typer.Option("--bulk-change", metavar="ID", min=1, max=2**63 - 1, help="Open rows of a bulk change."),
]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out lines of the file that are no ICCID.")
]
WithoutBilling = Annotated[
    bool, typer.Option("--without-billing", help="Take rows that ask for billing too, and leave that out.")
]
ServiceProvider = Annotated[
    int | None,
    typer.Option("--service-provider", metavar="ID", min=0, help="Service provider of the devices."),
]
Confirm = Annotated[
    str | None,
    typer.Option("--confirm", metavar="PROFILE", help="The protected profile that is really meant."),
]


def begin(
    app: AppContext,
    request: LifeRequest,
    iccids: Sequence[str] | None,
    from_file: str | None,
    *,
    skip_invalid: bool,
) -> tuple[LifeCycle, Scope]:
    """The service and the devices it is for, checked as a whole: nothing is started yet."""
    named = _targets(app, iccids, from_file, request.bulk_change_id, skip_invalid=skip_invalid)
    app.announce()
    service = life_cycle(app, request.reason)
    return service, service.scope(request, named)


def life_cycle(app: AppContext, reason: str | None) -> LifeCycle:
    """The service, wired; raises where the role or the settings forbid it."""
    from pondctl.services.lifecycle.life_cycle import LifeCycle
    from pondctl.services.lifecycle.request import LifeLimits
    from pondctl.services.syncing.next_check import CheckPolicy

    settings = app.settings
    pond, limits, queue = settings.pond, settings.limits, settings.queue
    return LifeCycle(
        database=app.database,
        pond=app.carriers.pond,
        actor=app.actor(reason),
        limits=LifeLimits(
            distributor_id=pond.distributor_id or 0,
            write_enabled=pond.write_enabled,
            settle_seconds=pond.settle_seconds,
            max_terminations=limits.max_terminations_per_run,
            max_replacements=limits.max_replacements_per_run,
            max_error_rate=limits.max_error_rate,
            pond_providers=pond.service_provider_ids,
            other_providers=settings.thingspace.service_provider_ids,
            allowed_providers=settings.access.service_provider_ids,
            worker_takes_checks=queue.accept_writes,
        ),
        policy=CheckPolicy(
            pending_deadline_hours=queue.pending_deadline_hours,
            pending_check_seconds=queue.pending_check_seconds,
            max_retries=queue.max_retries,
            retry_base_seconds=queue.retry_base_seconds,
        ),
        queue_name=app.queue_name,
        stop=app.stop,
    )


def run(app: AppContext, service: LifeCycle, request: LifeRequest, scope: Scope) -> None:
    """Do it, print it, exit with what it came to."""
    with app.output.results(str(request.operation)) as report:
        result = service.run(request, scope, report)
    raise typer.Exit(result.exit_code)


def confirm_end(
    app: AppContext,
    service: LifeCycle,
    request: LifeRequest,
    scope: Scope,
    *,
    yes: bool,
    confirm: str | None,
) -> None:
    """Make sure that devices are really to be terminated; raises where that is not certain."""
    if request.dry_run or not scope.wanted:
        return
    profile, many = app.settings.profile, scope.wanted > _MANY
    devices = f"{scope.wanted:,} device{'' if scope.wanted == 1 else 's'}"
    if (confirm is not None and confirm != profile) or (app.settings.protected and many and confirm is None):
        raise ConfirmationMissingError(
            f"profile {profile} is protected: terminating {devices} needs its name",
            hint=f"add --confirm {profile}",
        )
    if yes:
        return
    what = f"Terminate {devices} for good?"
    if sys.stdin.isatty() and sys.stderr.isatty():
        what = f"{service.describe_end(request, scope)} {what}"
    # At the prompt Ctrl-C ends the program at once: nothing has begun.
    app.stops_in_order = False
    if not app.output.confirm(what, str(scope.wanted) if many else None):
        raise DeclinedError("declined: nothing was terminated")
    app.stops_in_order = True


def _targets(
    app: AppContext,
    iccids: Sequence[str] | None,
    from_file: str | None,
    bulk_change_id: int | None,
    *,
    skip_invalid: bool,
) -> Sequence[Target]:
    """The devices that are named; none where a bulk change is meant. Says what is odd about them."""
    from pondctl.services.targets.targets import read_targets

    if bulk_change_id is not None:
        if iccids or from_file is not None:
            raise UsageError("name devices, or a bulk change with --bulk-change, not both")
        return ()
    found = read_targets(list(iccids or ()), from_file, sys.stdin.buffer, skip_invalid)
    for warning in found.warnings:
        app.output.warn(warning)
    for line in found.skipped:
        app.output.warn(f"line {line.line} {line.text!r} is left out: {line.reason}")
    return found
