"""`pondctl device lock|unlock`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands._options import OutputFormat, Reason
from pondctl.context import AppContext

if TYPE_CHECKING:
    from pondctl.db.database import Database

app = typer.Typer(no_args_is_help=True, help="Mark devices that must never be terminated.")

Iccids = Annotated[list[str], typer.Argument(metavar="ICCID...", help="Devices.")]


@app.command("lock")
def lock(ctx: typer.Context, iccids: Iccids, reason: Reason = None, output: OutputFormat = None) -> None:
    """Lock devices: no command can end their packages until they are unlocked. Needs --reason."""
    from pondctl.services.device import lock_devices

    _change(ctx.obj, iccids, reason, output, lock_devices)


@app.command("unlock")
def unlock(ctx: typer.Context, iccids: Iccids, reason: Reason = None, output: OutputFormat = None) -> None:
    """Take the lock off devices. Needs --reason."""
    from pondctl.services.device import unlock_devices

    _change(ctx.obj, iccids, reason, output, unlock_devices)


def _change(
    context: AppContext,
    iccids: Sequence[str],
    reason: str | None,
    output: str | None,
    change: Callable[[Database, Sequence[str], str | None], Sequence[Mapping[str, object]]],
) -> None:
    from pondctl.output.tables import Column
    from pondctl.services._targets import read_targets

    context.use(output=output)
    context.settings.require_role("operator")
    named = [target.iccid for target in read_targets(iccids, None, sys.stdin.buffer)]
    context.announce()
    rows = change(context.database, named, reason)
    columns = [Column("id"), Column("changed"), Column("locked_by"), Column("locked_at"), Column("reason")]
    context.output.table(rows, columns)
