"""`pondctl report bulk`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pondctl.commands import _bulk
from pondctl.commands._access import needs
from pondctl.commands._options import All, BulkChangeId, Limit, OutputFormat
from pondctl.context import AppContext
from pondctl.models import Outcome

if TYPE_CHECKING:
    from pondctl.services.report import BulkReport

app = typer.Typer(no_args_is_help=True, help="Reports for people who were not there.")

# A page of so many devices is about 12 MB, which a telephone still opens.
_PAGE_DEVICES = 100_000


@app.callback()
def _group() -> None:
    """Its only subcommand keeps its name."""


@app.command("bulk")
@needs("viewer")
def bulk(
    ctx: typer.Context,
    bulk_change_id: BulkChangeId,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write a page with charts and all devices; needs no network."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it exists.")] = False,
    outcome: Annotated[
        Outcome | None, typer.Option("--outcome", help="List only devices with this outcome.")
    ] = None,
    limit: Limit = 100,
    all_: All = False,
    output: OutputFormat = None,
) -> None:
    """Report on one bulk change: every device with its outcome and why, or a page with charts (--html)."""
    from pondctl.services.report import BulkReport

    context: AppContext = ctx.obj
    context.use(output=output)
    if html is not None:
        from pondctl.output.page.write import refuse_existing

        refuse_existing(html, force=force)
    report = BulkReport(_bulk.site(context), bulk_change_id)
    if html is None:
        _list(context, report, outcome, None if all_ else limit)
    else:
        _write(context, report, html, force=force)


def _list(context: AppContext, report: BulkReport, outcome: Outcome | None, limit: int | None) -> None:
    from pondctl.output.tables import Column

    names = ("id", "iccid", "msisdn", "outcome", "category", "carrier_state")
    columns = [*map(Column, names), Column("reason", fold=True), Column("changed")]
    listed = report.devices(outcome, limit)
    context.output.table(listed.rows, columns, total=listed.total, empty="there are no such devices")


def _write(context: AppContext, report: BulkReport, html: Path, *, force: bool) -> None:
    from pondctl.output.page.page import page
    from pondctl.output.page.write import write_page

    sums = report.sums(_PAGE_DEVICES)
    size = write_page(html, page(report.facts, sums, report.bounds, context.settings.profile), force=force)
    left_out = sums.devices - len(sums.rows)
    context.output.record(
        {
            "id": report.facts.head["id"],
            "file": str(html),
            "devices": sums.devices,
            "left_out": left_out,
            "bytes": size,
        }
    )
