"""What Rich draws on a terminal. Imported only where there may be one: Rich is slow to load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pondctl.output.tables import GAP, Column

_LONGEST_WORD = 64
_NARROWEST = 12
_STYLED = {"outcome", "status"}
_STYLES = {
    "done": "green",
    "success": "green",
    "processed": "green",
    "pending": "yellow",
    "deferred": "yellow",
    "waiting": "yellow",
    "partial": "yellow",
    "skipped": "cyan",
    "failed": "red",
    "error": "red",
    "api_failed": "red",
    "unknown": "magenta",
}


class LiteralConsole(Console):
    """Interprets nothing in what it prints, and leaves a broken pipe to the caller."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(file=stream, markup=False, emoji=False, highlight=False)

    def on_broken_pipe(self) -> None:
        """Pass the BrokenPipeError on; Rich would exit with 1, the code for a bug."""
        raise  # noqa: PLE0704


def print_line(console: Console, label: str, style: str, text: str) -> None:
    """One line, however long; the label is styled."""
    console.print(Text.assemble((label, style), text), soft_wrap=True)


def print_cells(
    stream: IO[str], columns: Sequence[Column], cells: Sequence[Sequence[str]], *, headed: bool
) -> None:
    """Print rows of a table. Only columns that fold get narrower than their values, down to a word."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=headed)
    needed = natural = 0
    for column, texts in zip(columns, zip(*cells, strict=True), strict=True):
        widest = max(cell_len(column.heading), *map(cell_len, texts))
        least = _least(column, texts, widest)
        needed += least + GAP
        natural += widest + GAP
        table.add_column(
            Text(column.heading, style="bold"),
            no_wrap=not column.fold,
            overflow="fold" if column.fold or column.right else "ignore",
            justify="right" if column.right else "left",
            min_width=least,
        )
    for line in cells:
        table.add_row(*(_styled(column, text) for column, text in zip(columns, line, strict=True)))
    console = LiteralConsole(stream)
    # A pipe has no width. With TERM=dumb Rich heeds a width only where the height is set as well.
    console.size = (max(console.width, needed) if stream.isatty() else natural, console.height)
    console.print(table, crop=False)


def style_of(word: str) -> str:
    """The colour of an outcome or a status word; none for a word without one."""
    return _STYLES.get(word.lower(), "")


def _least(column: Column, texts: Sequence[str], widest: int) -> int:
    """What the column needs: all of it, or its longest word (an id in a sentence stays whole too)."""
    if not column.fold:
        return widest
    texts = [column.heading, *texts]
    longest = max(cell_len(word) for text in texts for word in [*text.split(), ""])
    return min(widest, max(min(longest, _LONGEST_WORD), _NARROWEST))


def _styled(column: Column, text: str) -> Text:
    return Text(text, style=style_of(text) if column.key in _STYLED else "")
