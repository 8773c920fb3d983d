"""`pondctl audit list|verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pondctl.commands._access import needs
from pondctl.commands._options import All, Limit, OutputFormat
from pondctl.context import AppContext
from pondctl.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Who did what, and the proof that nobody has touched it.")


@app.command("list")
@needs("viewer")
def list_(
    ctx: typer.Context,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Only of this run.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Only by this user.")] = None,
    command: Annotated[
        str | None, typer.Option("--command", metavar="NAME", help="Only of this command: activate, …")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Since then: 2h, 3d, 2026-11-23.")
    ] = None,
    limit: Limit = 100,
    all_: All = False,
    output: OutputFormat = None,
) -> None:
    """Show the newest rows: every action with its outcome, every carrier write; devices as pseudonyms."""
    from pondctl.output.tables import Column
    from pondctl.services.audit import AuditQuery, list_audit

    context: AppContext = ctx.obj
    context.use(output=output)
    query = AuditQuery(run, actor, command, since)
    found = list_audit(context.database, query, None if all_ else limit)
    names = ("id", "recorded", "event", "command", "actor", "host", "profile", "run_id", "device")
    columns = [*map(Column, names), Column("reason", fold=True), Column("body", fold=True)]
    context.output.table(found.rows, columns, total=found.total, empty="the audit trail is empty")


@app.command("verify")
@needs("viewer")
def verify(
    ctx: typer.Context,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="HEAD", help="A head that was printed earlier, and kept elsewhere."),
    ] = None,
    key_file: Annotated[
        list[Path] | None,
        typer.Option("--key-file", metavar="FILE", help="Another key that rows are signed with."),
    ] = None,
    output: OutputFormat = None,
) -> None:
    """Hold every row against the one before and its signature; exit 3 names the first that does not fit."""
    from pondctl.services.audit import read_end, verify_audit
    from pondctl.telemetry.audit import AuditKey

    context: AppContext = ctx.obj
    context.use(output=output)
    end = read_end(head) if head is not None else None
    if head is not None and end is None:
        raise UsageError("--head is no head", hint="it looks as `pondctl audit verify` prints it: 42:0a1b…")
    trail = context.trail
    given = [AuditKey(secret) for path in key_file or () for secret in _secrets(path)]
    keys = given if given and not trail.has_key else [*given, trail.key]
    ends = {**trail.head.ends(), **({end.sequence: end.mac} if end else {})}
    verdict = verify_audit(context.database, {key.id: key for key in keys}, ends)
    if not ends:
        context.output.warn("no head is kept on this host: that the newest rows were cut off would not show")
    context.output.record(verdict.record, exit_code=verdict.exit_code, parts=True)
    raise typer.Exit(verdict.exit_code)


def _secrets(path: Path) -> list[bytes]:
    """A key as a file of a host holds it, or as a setting spells it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--key-file {path} cannot be read: {error.strerror}") from None
    return [content, content.removesuffix(b"\n")]
