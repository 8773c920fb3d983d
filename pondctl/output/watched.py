"""Something that is looked at again and again: live on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from pondctl.errors import ExitCode
from pondctl.output.lists import write_record
from pondctl.output.safe import csv_cell, dumps, exact, plain, stamp, words

if TYPE_CHECKING:
    from pondctl.output.live import LiveView

Look = Mapping[str, Any]


class Watched:
    """A context manager. `done` is told the exit code, and calls back where the end may be printed."""

    def __init__(
        self,
        form: str,
        stream: IO[str],
        live: LiveView | None,
        quiet: bool,
        done: Callable[[ExitCode, Callable[[], None]], None],
    ) -> None:
        self._form = form
        self._stream = stream
        self._live = None if quiet else live
        self._quiet = quiet
        self._done = done
        self._last: Look | None = None

    def show(self, look: Look, *, changed: bool) -> None:
        """Show what is seen now; `changed`: it differs from what was seen before."""
        first, self._last = self._last is None, look
        if self._live is not None:
            self._live.update(look)
        elif changed and not self._quiet:
            self._print(look, first=first)

    def finish(self, code: ExitCode) -> None:
        """Show how it stands at the end."""
        if self._live is not None:
            self._live.stop()
        self._done(code, self._print_end)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _print(self, look: Look, *, first: bool) -> None:
        if self._form == "table":
            self._stream.write(line_of(look) + "\n")
        elif self._form == "jsonl":
            self._stream.write(dumps(exact(look)) + "\n")
        elif self._form == "csv":
            rows = csv.writer(self._stream, lineterminator="\n")
            if first:
                rows.writerow(map(csv_cell, look))
            rows.writerow(map(csv_cell, look.values()))
        self._stream.flush()

    def _print_end(self) -> None:
        look = self._last
        if look is None:
            return
        if self._form == "json":
            write_record(self._stream, "json", look)
        elif self._form == "jsonl":
            self._stream.write(dumps({"summary": exact(look)}) + "\n")
        elif self._live is not None or self._quiet:
            self._print(look, first=True)
        if look["timed_out"] and self._form == "table":
            self._stream.write("not settled in that time\n")
        self._stream.flush()


def live_view(stream: IO[str]) -> LiveView | None:
    """The view on a terminal; None elsewhere."""
    if not stream.isatty():
        return None
    from pondctl.output.live import LiveView
    from pondctl.output.styled import LiteralConsole

    return LiveView(LiteralConsole(stream))


def line_of(look: Look) -> str:
    """A look in one line, with its time."""
    said = words(look["counts"].items()) or "no devices"
    after = f"; waits for {look['waits_for']}" if look["waits_for"] else ""
    progress = f"{look['settled']:,} of {look['devices']:,} settled"
    return plain(f"{stamp(look['at'], 'seconds')}  {look['status']}  {progress}: {said}{after}")
