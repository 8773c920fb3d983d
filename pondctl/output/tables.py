"""Aligned columns: plain text in a pipe, Rich on a terminal, whole values in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from pondctl.output.safe import NOTHING, plain, shown
from pondctl.output.streams import can_show, may_be_styled

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or csv file. Only where `fold` is set may a terminal break the value over lines."""

    key: str
    title: str = ""
    fold: bool = False
    right: bool = False

    @property
    def heading(self) -> str:
        """The title, or the key in capitals."""
        return plain(self.title or self.key.replace("_", " ").upper())


class Table:
    """Rows as they come. The columns get wider with later rows, never narrower, so memory stays flat."""

    def __init__(self, stream: IO[str], columns: Sequence[Column]) -> None:
        self._stream = stream
        self._columns = columns
        self._nothing = NOTHING if can_show(stream, NOTHING) else "-"
        self._widths = [len(column.heading) for column in columns]
        self._first = True

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Print some rows (at least one), under the headings where they are the first."""
        cells = [[shown(row.get(c.key), self._nothing) for c in self._columns] for row in rows]
        if may_be_styled(self._stream):
            from pondctl.output.styled import print_cells

            print_cells(self._stream, self._columns, cells, headed=self._first)
        else:
            self._print_plain(cells)
        self._first = False

    def _print_plain(self, cells: list[list[str]]) -> None:
        by_column = zip(self._widths, zip(*cells, strict=True), strict=True)
        self._widths = [max(width, *map(len, column)) for width, column in by_column]
        for line in [[c.heading for c in self._columns], *cells] if self._first else cells:
            padded = (
                text.rjust(width) if column.right else text.ljust(width)
                for text, width, column in zip(line, self._widths, self._columns, strict=True)
            )
            self._stream.write((" " * GAP).join(padded).rstrip() + "\n")
