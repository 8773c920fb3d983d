"""`pondctl device show|lock|unlock|forget`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import Limit, OutputFormat, Reason, Yes
from pondctl.context import AppContext
from pondctl.errors import DeclinedError

if TYPE_CHECKING:
    from pondctl.db.database import Database

app = typer.Typer(no_args_is_help=True, help="Look at a device; mark devices that must never be terminated.")

Iccids = Annotated[list[str], typer.Argument(metavar="ICCID...", help="Devices.")]


@app.command("show")
@needs("viewer")
def show(
    ctx: typer.Context,
    device: Annotated[str, typer.Argument(metavar="ICCID|MSISDN", help="Its ICCID or its number.")],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask the carriers, even if they were asked a moment ago.")
    ] = False,
    limit: Limit = 100,
    output: OutputFormat = None,
) -> None:
    """Show one device: the database, ThingSpace now, POND now, and all that happened to it."""
    from pondctl.services.device_show import DeviceShow
    from pondctl.services.device_views.cache import DeviceCache
    from pondctl.services.device_views.carriers_now import Carriers

    context: AppContext = ctx.obj
    # A look: calls are paced by this process alone, so that a login that may only read can make them too.
    context.use(output=output, workers=2, dry_run=True)
    thingspace, pond = context.settings.thingspace, context.settings.pond
    site = (thingspace.base_url, thingspace.account_name, pond.base_url, str(pond.distributor_id))
    service = DeviceShow(
        context.database,
        Carriers(lambda: context.carriers.thingspace, lambda: context.carriers.pond),
        DeviceCache(context.database, " ".join(site)),
        context.queueing.rules,
        context.stop,
    )
    context.output.record(service.show(device, fresh=fresh, limit=limit), parts=True)


@app.command("lock")
@needs("operator")
def lock(ctx: typer.Context, iccids: Iccids, reason: Reason = None, output: OutputFormat = None) -> None:
    """Lock devices: no command can end their packages until they are unlocked."""
    from pondctl.services.device import lock_devices, under_way

    context: AppContext = ctx.obj
    locked = _change(context, iccids, reason, output, lock_devices)
    for sentence in under_way(context.database, locked):
        context.output.warn(sentence)


@app.command("unlock")
@needs("admin")
def unlock(ctx: typer.Context, iccids: Iccids, reason: Reason = None, output: OutputFormat = None) -> None:
    """Take the lock off devices."""
    from pondctl.services.device import unlock_devices

    _change(ctx.obj, iccids, reason, output, unlock_devices)


@app.command("forget")
@needs("admin")
def forget(
    ctx: typer.Context,
    iccid: Annotated[str, typer.Argument(metavar="ICCID", help="The device.")],
    reason: Reason = None,
    yes: Yes = False,
    output: OutputFormat = None,
) -> None:
    """Let no pseudonym in logs and audit trail stand for a device any more. Needs --reason."""
    from pondctl.services.device_forget import forget_device, require_reason
    from pondctl.services.targets.targets import read_targets

    context: AppContext = ctx.obj
    context.use(output=output)
    [target] = read_targets([iccid], None, sys.stdin.buffer)
    require_reason(reason)
    context.announce()
    if not yes and not context.output.confirm("Forget this device for good?"):
        raise DeclinedError("declined: nothing was forgotten")
    record = forget_device(context.database, target.iccid)
    if not record["known"]:
        context.output.warn(
            f"nothing in this database names {target.iccid}: is that the device that was meant?"
        )
    context.output.record(record, parts=True)


def _change(
    context: AppContext,
    iccids: Sequence[str],
    reason: str | None,
    output: str | None,
    change: Callable[[Database, Sequence[str], str | None], Sequence[Mapping[str, object]]],
) -> Sequence[str]:
    from pondctl.output.tables import Column
    from pondctl.services.targets.targets import read_targets

    context.use(output=output)
    named = [target.iccid for target in read_targets(iccids, None, sys.stdin.buffer)]
    context.announce()
    rows = change(context.database, named, reason)
    columns = [Column("id"), Column("changed"), Column("locked_by"), Column("locked_at"), Column("reason")]
    context.output.table(rows, columns)
    return named
