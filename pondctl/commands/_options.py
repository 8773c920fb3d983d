"""Options that many commands share, written once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

BulkChangeId = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="Id of the bulk change.")
]
OutputFormat = Annotated[
    Literal["table", "json", "jsonl", "csv"] | None,
    typer.Option("--output", "-o", help="How the result is written; a table unless said otherwise."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read, decide and show; write nothing and send nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
YesNobodyAsks = Annotated[bool, typer.Option("--yes", help="Do not ask (this command asks nothing).")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept on record.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="Devices asked about at once.")]
RequestsPerSecond = Annotated[
    float | None,
    typer.Option("--rps", min=0.001, max=10_000, help="Carrier calls a second, instead of the setting."),
]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress bar.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
All = Annotated[bool, typer.Option("--all", help="All of them, whatever --limit says.")]
