"""What the `dead-letter` commands share: options, the desk, the question before many letters."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pondctl.context import AppContext
from pondctl.errors import ConfirmationMissingError, DeclinedError, ExitCode, PondctlError, UsageError

if TYPE_CHECKING:
    from pondctl.services.dead_letter import Desk
    from pondctl.services.dead_letters.result import DeskResult
    from pondctl.services.dead_letters.selection import Scope, Wanted

# More than so many are counted and confirmed first.
_MANY = 10
_SHOWN = 50

Ids = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", min=1, max=2**63 - 1, help="Ids of dead letters.")
]
LetterId = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="Id of the dead letter.")]
BulkChange = Annotated[
    int | None,
    typer.Option("--bulk-change", metavar="ID", min=1, max=2**63 - 1, help="Only of this bulk change."),
]
Iccid = Annotated[
    str | None, typer.Option("--iccid", metavar="ICCID", help="Only of bulk changes that hold this device.")
]
CategoryOption = Annotated[
    str | None, typer.Option("--category", metavar="WORD", help="Only of this category.")
]
CarrierOption = Annotated[
    Literal["thingspace", "pond"] | None, typer.Option("--carrier", help="Only of this carrier.")
]
Text = Annotated[
    str | None, typer.Option("--text", metavar="TEXT", help="Only with this in body, attributes or reason.")
]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only of the last 90m, 8h, 2d.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="TIME", help="Only older than 90m, 8h, 2d.")
]
Confirm = Annotated[
    str | None,
    typer.Option("--confirm", metavar="PROFILE", help="The protected profile that is really meant."),
]


def wanted_of(
    state: str | None,
    bulk_change: int | None = None,
    iccid: str | None = None,
    category: str | None = None,
    carrier: str | None = None,
    text: str | None = None,
    since: str | None = None,
    older_than: str | None = None,
) -> Wanted:
    """The filter that the options mean; raises `UsageError`."""
    from pondctl.models import Carrier
    from pondctl.services._duration import read_duration
    from pondctl.services.dead_letters.selection import Wanted

    return Wanted(
        state=None if state == "any" else state,
        bulk_change_id=bulk_change,
        iccid=iccid,
        category=category,
        carrier=Carrier(carrier) if carrier else None,
        text=text,
        since_seconds=read_duration(since, option="--since") if since else None,
        older_than_seconds=read_duration(older_than, option="--older-than") if older_than else None,
    )


def desk_of(app: AppContext, reason: str | None) -> Desk:
    """The desk, wired; raises where the role forbids it."""
    from pondctl.services.dead_letter import Desk

    queueing = app.queueing

    def check_moves() -> str | None:
        return queueing.puller.require_no_move() if queueing.puller else None

    return Desk(
        database=app.database,
        actor=app.actor(reason),
        rules=queueing.rules,
        queue_name=app.queue_name,
        outbox_of=queueing.outbox_of,
        check_moves=check_moves,
        stop=app.stop,
    )


def scope_for(app: AppContext, ids: Sequence[int] | None, wanted: Wanted, *, verb: str) -> Scope:
    """The letters that are meant: by id or by filter, never all of them by oversight."""
    from pondctl.services.dead_letters.selection import scope_of

    if bool(ids) == wanted.narrows:
        raise UsageError(
            f"say which dead letters to {verb}: ids, or a filter such as --bulk-change or --category",
            hint=f"pondctl dead-letter {verb} --help",
        )
    return scope_of(app.database, list(ids or ()), wanted, app.queueing.rules)


def confirm_many(app: AppContext, scope: Scope, verb: str, *, yes: bool, confirm: str | None) -> None:
    """Make sure that so many letters are meant; raises where that is not certain."""
    profile = app.settings.profile
    if confirm is not None and confirm != profile:
        raise ConfirmationMissingError(
            f"--confirm {confirm}: the profile in force is {profile}", hint=f"add --confirm {profile}"
        )
    if app.dry_run or len(scope.ids) <= _MANY:
        return
    what = f"{verb} {scope.describe()}"
    app.output.note(what)
    if app.settings.protected and confirm is None:
        raise ConfirmationMissingError(
            f"profile {profile} is protected: to {what} needs its name", hint=f"add --confirm {profile}"
        )
    if yes or confirm is not None:
        return
    # At the prompt Ctrl-C ends the program at once: nothing has begun.
    app.stops_in_order = False
    if not app.output.confirm(f"{verb.capitalize()} all {len(scope.ids):,}?", str(len(scope.ids))):
        raise DeclinedError(f"declined: nothing to {verb}")
    app.stops_in_order = True


def tell(app: AppContext, desk: Desk, result: DeskResult) -> None:
    """Print what came of it, and exit with the code that is true."""
    for warning in result.warnings:
        app.output.warn(warning)
    code: ExitCode = result.exit_code
    ending = _ending(desk, result)
    if ending is not None:
        code = ending.exit_code
    _print(app, result, code)
    if ending is not None:
        raise ending
    raise typer.Exit(code)


def tell_waiting(app: AppContext) -> None:
    """Say what still lies in the dead-letter queue, where it may yet be lost."""
    if app.queueing.dead_letters is None:
        return
    from pondctl.services.dead_letters.pull import describe_waiting

    if waiting := describe_waiting(app.queueing.dead_letters):
        app.output.warn(waiting)


def why_nothing_to_pull(app: AppContext) -> str:
    """There is no dead-letter queue."""
    if app.settings.queue.url == "database":
        return "nothing to pull: what dies in the embedded queue is in the inbox at once"
    return "nothing to pull: queue.dead_letter_url is not set"


def raise_if_stopped(app: AppContext) -> None:
    """Let the exit code tell that a signal came."""
    from pondctl.services.running.actor import raise_if_stopped as ended

    ended(app.stop, "pondctl dead-letter review")


def _ending(desk: Desk, result: DeskResult) -> PondctlError | None:
    again = f"the same command again: pondctl {shlex.join(sys.argv[1:]) or result.command}"
    try:
        desk.raise_trouble(result, again)
    except PondctlError as error:
        return error
    return None


def _print(app: AppContext, result: DeskResult, code: ExitCode) -> None:
    from pondctl.output.tables import Column

    output = app.output
    if output.format in ("csv", "jsonl"):
        rows: list[Mapping[str, object]] = [*result.rows()]
        if output.format == "jsonl":
            rows.append({"summary": result.summary()})
        names = ("id", "outcome", "detail", "key", "queue", "changes")
        output.table(rows, [Column(name) for name in names], exit_code=code)
        return
    if output.format == "json":
        output.record({**result.summary(), "letters": result.rows()}, exit_code=code)
        return
    letters = result.rows(not_done_only=_SHOWN)
    counts = ", ".join(f"{count:,} {word}" for word, count in result.counts.items()) or "none"
    record = result.summary() | {"counts": counts} | ({"letters": letters} if letters else {})
    output.record(record, exit_code=code)
