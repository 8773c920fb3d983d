"""`pondctl bulk list|show|create|cancel`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pondctl.commands import _bulk
from pondctl.commands._access import dry_run, needs
from pondctl.commands._confirm import confirm_many
from pondctl.commands._life_cycle import Confirm, FromFile, SkipInvalid
from pondctl.commands._options import All, BulkChangeId, DryRun, Limit, OutputFormat, Reason, Yes
from pondctl.context import AppContext

if TYPE_CHECKING:
    from pondctl.services.targets.targets import Targets

app = typer.Typer(no_args_is_help=True, help="Look at bulk changes; make one, cancel one.")

Provider = Annotated[
    int | None, typer.Option("--provider", metavar="ID", min=0, help="Only this service provider.")
]


@app.command("list")
@needs("viewer")
def list_(
    ctx: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only bulk changes with this status word.")] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Only those that have not come to their end.")
    ] = False,
    carrier: Annotated[
        Literal["thingspace", "pond"] | None, typer.Option(help="Only those of this carrier.")
    ] = None,
    provider: Provider = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Made since then: 2h, 3d, 2026-11-23.")
    ] = None,
    limit: Limit = 100,
    all_: All = False,
    output: OutputFormat = None,
) -> None:
    """Show the newest bulk changes: how far each one is, what holds it up, what to run next."""
    from pondctl.models import Carrier
    from pondctl.output.tables import Column
    from pondctl.services.bulk import BulkQuery, list_bulk_changes

    context: AppContext = ctx.obj
    context.use(output=output)
    query = BulkQuery(status, open_, Carrier(carrier) if carrier else None, provider, since)
    found = list_bulk_changes(_bulk.site(context), query, None if all_ else limit)
    names = ("id", "status", "type", "service_provider_id", "carrier")
    numbers = ("devices", "settled", "with_errors", "without_msisdn", "age")
    columns = [*map(Column, names), *(Column(n, right=True) for n in numbers)]
    columns += [Column("created"), Column("waits_for", fold=True), Column("next", fold=True)]
    context.output.table(found.rows, columns, total=found.total, empty="there are no bulk changes")


@app.command("show")
@needs("viewer")
def show(ctx: typer.Context, bulk_change_id: BulkChangeId, output: OutputFormat = None) -> None:
    """Show one bulk change: header, outcomes, times to activation, what it waits for, what to run next."""
    from pondctl.services.bulk import show_bulk_change

    context: AppContext = ctx.obj
    context.use(output=output)
    context.output.record(show_bulk_change(_bulk.site(context), bulk_change_id), parts=True)


@app.command("create")
@needs("operator", looks=dry_run)
def create(
    ctx: typer.Context,
    operation: Annotated[
        Literal["activate", "suspend", "resume", "terminate", "sync"],
        typer.Option("--operation", help="What is to become of the devices; sync: active at ThingSpace."),
    ],
    service_provider: Annotated[
        int, typer.Option("--service-provider", metavar="ID", min=0, help="Whose devices they are.")
    ],
    from_file: FromFile = None,
    package_type: Annotated[
        int | None, typer.Option("--package-type", metavar="ID", min=1, help="For activate: the package.")
    ] = None,
    reason: Reason = None,
    enqueue: Annotated[
        bool, typer.Option("--enqueue", help="Queue it at once, in the same transaction.")
    ] = False,
    tenant: Annotated[
        int | None, typer.Option("--tenant", metavar="ID", min=0, help="TenantId of the header.")
    ] = None,
    skip_invalid: SkipInvalid = False,
    yes: Yes = False,
    confirm: Confirm = None,
    output: OutputFormat = None,
    dry_run: DryRun = False,
) -> None:
    """Make a bulk change of the devices in a file: every line is checked, then all is written or nothing."""
    from pondctl.models import Operation
    from pondctl.services.bulk_create import NewBulk

    context: AppContext = ctx.obj
    context.use(output=output, dry_run=dry_run)
    new = NewBulk(
        Operation(operation), service_provider, package_type, tenant, reason, enqueue=enqueue, dry_run=dry_run
    )
    service = _bulk.creating(context, reason)
    service.check(new)
    targets = _read_file(context, from_file, skip_invalid=skip_invalid)
    service.check_size(new, len(targets))
    context.announce()
    if new.operation is Operation.TERMINATE and not dry_run:
        question = f"Make a bulk change that terminates {len(targets):,} devices for good?"
        confirm_many(context, question, len(targets), yes=yes, confirm=confirm, typed=True)
    made = service.run(new, targets)
    context.output.record(made)
    if new.enqueue and not dry_run:
        service.send(int(str(made["id"])))


@app.command("cancel")
@needs("operator", looks=dry_run)
def cancel(
    ctx: typer.Context,
    bulk_change_id: BulkChangeId,
    reason: Reason = None,
    yes: Yes = False,
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="How long a run that is at work may take to stop.")
    ] = "60s",
    output: OutputFormat = None,
    dry_run: DryRun = False,
) -> None:
    """Give a bulk change up: its open devices are failed as cancelled, its checks closed. Needs --reason."""
    from pondctl.services._duration import read_duration

    context: AppContext = ctx.obj
    context.use(output=output, dry_run=dry_run)
    service = _bulk.cancelling(context, reason, read_duration(wait, option="--wait"))
    open_rows = service.check(bulk_change_id)
    context.announce()
    if not dry_run:
        question = f"Give up {open_rows:,} open devices of bulk change {bulk_change_id}?"
        confirm_many(context, question, open_rows, yes=yes)
    context.output.record(service.run(bulk_change_id, dry_run=dry_run))


def _read_file(context: AppContext, from_file: str | None, *, skip_invalid: bool) -> Targets:
    from pondctl.errors import UsageError
    from pondctl.services.targets.targets import read_targets

    if from_file is None:
        raise UsageError("no devices are given", hint="add --from FILE, or --from - for standard input")
    found = read_targets((), from_file, sys.stdin.buffer, skip_invalid)
    for warning in found.warnings:
        context.output.warn(warning)
    for line in found.skipped:
        context.output.warn(f"line {line.line} {line.text!r} is left out: {line.reason}")
    return found
