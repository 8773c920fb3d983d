"""json, jsonl, csv and table of a `reconcile`; a table keeps the first few findings, the others none."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from pondctl.output.documents import JsonDocument
from pondctl.output.safe import NOTHING, csv_cell, dumps, plain, words
from pondctl.output.tables import Column, Table

KEYS = ("kind", "iccid", "bulk_change_id", "here", "there", "mend")
SHOWN = 50
_COMMAND = "reconcile"
_COLUMNS = (
    Column("kind"),
    Column("iccid", "ICCID"),
    Column("bulk_change_id", "BULK CHANGE"),
    Column("here", fold=True),
    Column("there", fold=True),
    Column("mend", fold=True),
)

Item = Mapping[str, object]


class DriftJson:
    """`-o json`: one document, complete also when the run is cut short."""

    def __init__(self, stream: IO[str]) -> None:
        self._document = JsonDocument(stream, "drift")

    def open(self, run_id: str) -> None:
        """Begin the document."""
        self._document.open({"command": _COMMAND, "run_id": run_id})

    def items(self, items: Sequence[Item]) -> None:
        """Add the findings to the array."""
        self._document.add(items)

    def close(self, summary: Mapping[str, object]) -> None:
        """Complete the document."""
        self._document.close(summary)


class DriftJsonl:
    """`-o jsonl`: a line for each finding, then one with the summary."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._run_id = ""

    def open(self, run_id: str) -> None:
        """Write nothing: the first line is the first finding."""
        self._run_id = run_id

    def items(self, items: Sequence[Item]) -> None:
        """Write the lines of these findings."""
        self._stream.write("".join(f"{dumps(item)}\n" for item in items))
        self._stream.flush()

    def close(self, summary: Mapping[str, object]) -> None:
        """Write the summary line."""
        self._stream.write(
            dumps({"summary": {"command": _COMMAND, "run_id": self._run_id, **summary}}) + "\n"
        )
        self._stream.flush()


class DriftCsv:
    """`-o csv`: the findings alone; the summary is told to the person."""

    def __init__(self, stream: IO[str], tell: Callable[[str], None]) -> None:
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._tell = tell
        self._run_id = ""

    def open(self, run_id: str) -> None:
        """Write the header."""
        self._run_id = run_id
        self._rows.writerow(KEYS)
        self._stream.flush()

    def items(self, items: Sequence[Item]) -> None:
        """Write the rows of these findings."""
        self._rows.writerows([csv_cell(item[key]) for key in KEYS] for item in items)
        self._stream.flush()

    def close(self, summary: Mapping[str, object]) -> None:
        """Tell the summary."""
        for line in _lines(self._run_id, summary):
            self._tell(line)


class DriftTable:
    """`-o table`: the counts, the first findings, and how to see the others."""

    def __init__(self, stream: IO[str], tell: Callable[[str], None]) -> None:
        self._stream = stream
        self._tell = tell
        self._run_id = ""
        self._kept: list[Item] = []
        self._seen = 0

    def open(self, run_id: str) -> None:
        """Print nothing: a table is for a reader who waits for the end."""
        self._run_id = run_id

    def items(self, items: Sequence[Item]) -> None:
        """Keep the first of them."""
        self._seen += len(items)
        self._kept += items[: SHOWN - len(self._kept)]

    def close(self, summary: Mapping[str, object]) -> None:
        """Print it."""
        for line in _lines(self._run_id, summary):
            self._stream.write(line + "\n")
        if self._kept:
            self._stream.write("\n")
            used = [c for c in _COLUMNS if any(item[c.key] is not None for item in self._kept)]
            Table(self._stream, used).add(self._kept)
        if self._seen > len(self._kept):
            self._stream.write(f"\n{self._seen - len(self._kept):,} more; -o json shows all of them\n")
        self._stream.flush()
        hints = summary.get("hints")
        for hint in hints if isinstance(hints, list) else ():
            self._tell(f"hint: {hint}")


def _lines(run_id: str, summary: Mapping[str, object]) -> list[str]:
    cut = "" if summary["complete"] else ", not everything could be looked at"
    lines = [plain(f"{_COMMAND}: {summary['status']}{cut} (run {run_id})")]
    for key in ("counts", "mended"):
        counts = summary.get(key)
        if isinstance(counts, dict) and counts:
            found = "found" if key == "counts" else "mended"
            lines.append(f"{found}: {words((plain(kind), count) for kind, count in counts.items())}")
    for side in ("thingspace", "pond"):
        facts = summary.get(side)
        if isinstance(facts, dict):
            shown = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in facts.items())
            lines.append(plain(f"{side}: {shown}"))
    return lines


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else str(value)
