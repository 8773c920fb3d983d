"""`pondctl dead-letter list|show|review|requeue|discard|restore|pull`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pondctl.commands import _dead_letter as shared
from pondctl.commands._access import dry_run, needs
from pondctl.commands._dead_letter import (
    BulkChange,
    CarrierOption,
    CategoryOption,
    Confirm,
    Iccid,
    Ids,
    LetterId,
    OlderThan,
    Since,
    Text,
)
from pondctl.commands._options import All, DryRun, Limit, OutputFormat, Reason, Yes
from pondctl.context import AppContext

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, queue them again, discard them.")

State = Annotated[
    Literal["open", "requeued", "discarded", "any"], typer.Option("--state", help="Only in this state.")
]


@app.command("list")
@needs("viewer")
def list_(
    ctx: typer.Context,
    state: State = "open",
    bulk_change: BulkChange = None,
    iccid: Iccid = None,
    category: CategoryOption = None,
    carrier: CarrierOption = None,
    text: Text = None,
    since: Since = None,
    older_than: OlderThan = None,
    limit: Limit = 100,
    all_: All = False,
    output: OutputFormat = None,
) -> None:
    """Show dead letters, oldest first, without what they carry; looking costs no receive."""
    from pondctl.output.tables import Column
    from pondctl.services.dead_letters.list import list_letters

    context: AppContext = ctx.obj
    context.use(output=output)
    wanted = shared.wanted_of(state, bulk_change, iccid, category, carrier, text, since, older_than)
    # Whose bulk change is whose is only asked where a carrier is wanted.
    rules = context.queueing.rules if carrier else None
    found = list_letters(context.database, wanted, rules, None if all_ else limit)
    names = ("id", "state", "category", "bulk_change_id", "retry_number", "created", "requeued", "reason")
    columns = [Column(name, fold=name == "reason") for name in names]
    context.output.table(found.lines, columns, empty="no dead letters")
    if found.more:
        context.output.note(found.more)
    if context.settings.queue.dead_letter_url:
        shared.tell_waiting(context)


@app.command("show")
@needs("viewer")
def show(ctx: typer.Context, letter_id: LetterId, output: OutputFormat = None) -> None:
    """Show one dead letter: attributes, body, every attempt, its devices, and what to do next."""
    from pondctl.services.dead_letters.show import for_people, show_letter

    context: AppContext = ctx.obj
    context.use(output=output)
    record = show_letter(context.database, letter_id, context.settings.limits.retention_days)
    context.output.record(for_people(record) if context.output.format == "table" else record)


@app.command("requeue")
@needs("operator", looks=dry_run)
def requeue(
    ctx: typer.Context,
    ids: Ids = None,
    bulk_change: BulkChange = None,
    iccid: Iccid = None,
    category: CategoryOption = None,
    carrier: CarrierOption = None,
    text: Text = None,
    since: Since = None,
    older_than: OlderThan = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="ATTRIBUTE=VALUE", help="Change an attribute of the message first."),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="ATTRIBUTE", help="Take an attribute out first.")
    ] = None,
    rps: Annotated[
        float | None, typer.Option("--rps", min=0.001, max=10_000, help="Messages a second, at most.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = None,
    output: OutputFormat = None,
) -> None:
    """Queue dead letters again, by id or by filter, under new keys; the old ones stay on record."""
    from pondctl.services.dead_letters.edit import read_edit

    context: AppContext = ctx.obj
    context.use(output=output, dry_run=dry_run)
    edit = read_edit(set_ or (), unset or ())
    wanted = shared.wanted_of("open", bulk_change, iccid, category, carrier, text, since, older_than)
    context.announce()
    desk = shared.desk_of(context, reason)
    scope = shared.scope_for(context, ids, wanted, verb="requeue")
    shared.confirm_many(context, scope, "requeue", yes=yes, confirm=confirm)
    result = desk.requeue(scope, edit, requests_per_second=rps, dry_run=dry_run)
    shared.tell(context, desk, result)


@app.command("discard")
@needs("operator", looks=dry_run)
def discard(
    ctx: typer.Context,
    ids: Ids = None,
    bulk_change: BulkChange = None,
    iccid: Iccid = None,
    category: CategoryOption = None,
    carrier: CarrierOption = None,
    text: Text = None,
    since: Since = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = None,
    output: OutputFormat = None,
) -> None:
    """Put dead letters aside, with the reason; `restore` takes it back until they are pruned."""
    context: AppContext = ctx.obj
    context.use(output=output, dry_run=dry_run)
    wanted = shared.wanted_of("open", bulk_change, iccid, category, carrier, text, since, older_than)
    context.announce()
    desk = shared.desk_of(context, reason)
    desk.require_reason()
    scope = shared.scope_for(context, ids, wanted, verb="discard")
    shared.confirm_many(context, scope, "discard", yes=yes, confirm=confirm)
    shared.tell(context, desk, desk.discard(scope, dry_run=dry_run))


@app.command("restore")
@needs("operator", looks=dry_run)
def restore(
    ctx: typer.Context,
    ids: Ids = None,
    bulk_change: BulkChange = None,
    iccid: Iccid = None,
    category: CategoryOption = None,
    carrier: CarrierOption = None,
    text: Text = None,
    since: Since = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = None,
    output: OutputFormat = None,
) -> None:
    """Take back that dead letters were discarded."""
    context: AppContext = ctx.obj
    context.use(output=output, dry_run=dry_run)
    wanted = shared.wanted_of("discarded", bulk_change, iccid, category, carrier, text, since, older_than)
    context.announce()
    desk = shared.desk_of(context, reason)
    scope = shared.scope_for(context, ids, wanted, verb="restore")
    shared.confirm_many(context, scope, "restore", yes=yes, confirm=confirm)
    shared.tell(context, desk, desk.restore(scope, dry_run=dry_run))


@app.command("pull")
@needs("operator")
def pull(
    ctx: typer.Context,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    output: OutputFormat = None,
) -> None:
    """Move what lies in the dead-letter queue into the inbox, where nothing expires; workers do it, too."""
    context: AppContext = ctx.obj
    context.use(output=output)
    context.announce()
    puller = context.queueing.puller
    if puller is None:
        context.output.note(shared.why_nothing_to_pull(context))
        context.output.record({"command": "dead-letter pull", "received": 0})
        return
    if warning := puller.require_no_move():
        context.output.warn(warning)
    pulled = puller.pull_all(context.stop, most=limit)
    if pulled.kept:
        context.output.warn(
            f"{pulled.kept} could not be deleted from the queue: they come back and are known"
        )
    context.output.record(pulled.as_record())
    puller.raise_if_stopped(context.stop)


@app.command("review")
@needs("operator")
def review(
    ctx: typer.Context,
    state: State = "open",
    bulk_change: BulkChange = None,
    iccid: Iccid = None,
    category: CategoryOption = None,
    text: Text = None,
    since: Since = None,
    older_than: OlderThan = None,
) -> None:
    """Go through dead letters on a full screen: look, edit, requeue, discard, take back."""
    from pondctl.commands._dead_review import require_screen, review_desk
    from pondctl.output.review import open_review, require_review

    context: AppContext = ctx.obj
    require_screen()
    require_review()
    wanted = shared.wanted_of(state, bulk_change, iccid, category, None, text, since, older_than)
    desk = review_desk(context, wanted)
    open_review(desk)
    shared.raise_if_stopped(context)
