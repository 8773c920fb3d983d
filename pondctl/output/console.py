"""The only printer: data on stdout, everything else on stderr, silence where `-q` asks for it."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pondctl.errors import ConfirmationMissingError, ExitCode, PondctlError
from pondctl.output.results import RunReport, error_body
from pondctl.output.safe import dumps, plain
from pondctl.output.streams import encodes_all, forget_typed_ahead, may_be_styled, replay, spool

if TYPE_CHECKING:
    from rich.console import Console

    from pondctl.output.drift import DriftRun
    from pondctl.output.progress import Bar
    from pondctl.output.status_line import StatusLine
    from pondctl.output.tables import Column
    from pondctl.output.watched import Watched

QUIET_CODES = frozenset({ExitCode.OK, ExitCode.BUSY, ExitCode.WAITING})
_KEPT_WARNINGS = 50


class Format(StrEnum):
    """The values of `--output`."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Output:
    """What one command prints. Called by the main thread only.

    With `quiet`, results and warnings are held back until the exit code is known, and dropped where
    it is one of `QUIET_CODES`. stdout carries at most one document: once it has one, an error is
    told on stderr alone.
    """

    def __init__(
        self,
        format: Format | str = Format.TABLE,
        *,
        quiet: bool = False,
        progress: bool = True,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
        stdin: IO[str] | None = None,
    ) -> None:
        self.format = Format(format)
        self.quiet = quiet
        self._progress = progress
        self._stdout = encodes_all(stdout or sys.stdout)
        self._stderr = encodes_all(stderr or sys.stderr)
        self._stdin = stdin or sys.stdin
        self._answered = False
        self._warnings: list[str] = []

    def note(self, text: str) -> None:
        """One line on stderr for the person who waits; nothing with `-q`."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """One line on stderr; with `-q` the first of them are kept until there is something to tell."""
        if not self.quiet:
            self._say(text, "warning", "yellow")
        elif len(self._warnings) < _KEPT_WARNINGS:
            self._warnings.append(text)

    def results(self, command: str) -> RunReport:
        """The report of one run, a context manager."""
        from pondctl.output.documents import writer_for

        held = spool() if self.quiet else None
        return RunReport(
            command,
            writer_for(self.format, (held or self._stdout, self._stdout), self._say),
            bar=self._new_bar(),
            done=lambda code, write_ending: self._settle(code, write_ending, held),
        )

    def drift(self) -> DriftRun:
        """The report of one `reconcile`, a context manager."""
        from pondctl.output.drift import begin

        held = spool() if self.quiet else None
        return begin(
            (self.format, held or self._stdout, self._say),
            bar=self._new_bar(),
            warn=self.warn,
            done=lambda code, write_ending: self._settle(code, write_ending, held),
            drop=held.close if held else self._stdout.flush,
        )

    def status_line(self) -> StatusLine:
        """One line on the terminal for a service that runs on; silent elsewhere and with `-q`."""
        from pondctl.output.status_line import StatusLine

        shown = self._progress and not self.quiet and self._stderr.isatty()
        return StatusLine(self._stderr if shown else None)

    def watched(self) -> Watched:
        """The view of something that is looked at until it is over: live where stdout is a terminal."""
        from pondctl.output.watched import Watched, live_view

        live = live_view(self._stdout) if self.format is Format.TABLE and self._progress else None
        quiet, settle = self.quiet, self._settle
        return Watched(self.format, self._stdout, live, quiet, lambda code, end: settle(code, end, None))

    def table(
        self,
        rows: Iterable[Mapping[str, object]],
        columns: Sequence[Column],
        *,
        total: int | None = None,
        empty: str = "nothing to show",
        exit_code: ExitCode = ExitCode.OK,
    ) -> None:
        """A list command's rows; json comes whole or, after an error in `rows`, not at all."""
        from pondctl.output.lists import write_rows

        if self._silent(exit_code):
            deque(rows, maxlen=0)  # reading them may fail, and that is worth an exit code
            return
        self._release()
        if self.format is Format.JSON:
            # An array has no place for an error: it is shown once the last row was read.
            with spool() as held:
                count = write_rows(held, self.format, rows, columns)
                replay(held, self._stdout)
        else:
            count = write_rows(self._stdout, self.format, rows, columns)
        self._answered = True
        if not count:
            self.note(empty)
        if total is not None and count < total:
            self.note(f"showing {count:,} of {total:,}; --all for the rest")

    def record(
        self, mapping: Mapping[str, object], *, exit_code: ExitCode = ExitCode.OK, parts: bool = False
    ) -> None:
        """A show command's one thing; with `parts` a table shows what is inside it in sections."""
        from pondctl.output.lists import write_record

        if self._silent(exit_code):
            return
        self._release()
        write_record(self._stdout, self.format, mapping, parts=parts)
        self._answered = True

    def error(self, error: PondctlError) -> ExitCode:
        """Tell why the command ends, and return the exit code it ends with."""
        self._fail(error.exit_code, error_body(error))
        return error.exit_code

    def bug(self, report: Path | str | None = None) -> ExitCode:
        """Tell that the program failed; `report` is the file with the details."""
        hint = None if report is None else f"the details are in {report}"
        self._fail(
            ExitCode.BUG, {"code": "bug", "message": "unexpected error: a bug in pondctl", "hint": hint}
        )
        return ExitCode.BUG

    def confirm(self, text: str, expected: str | None = None, *, flag: str = "--yes") -> bool:
        """Ask on the terminal: `expected` typed exactly, or y/N. The end of input is a no.

        What was typed before the question stood there is no answer to it.
        Without a terminal nothing is asked and nothing is assumed: ConfirmationMissingError names `flag`.
        """
        if not (self._stdin.isatty() and self._stderr.isatty()):
            raise ConfirmationMissingError(
                f"{text}: this needs a confirmation and there is no terminal to ask on", hint=f"add {flag}"
            )
        forget_typed_ahead(self._stdin)
        question = "[y/N]" if expected is None else f"Type {expected} to go on:"
        self._stderr.write(f"{plain(text)} {plain(question)} ")
        self._stderr.flush()
        answer = self._stdin.readline()
        if not answer:
            self._stderr.write("\n")
        typed = answer.strip()
        return typed == expected if expected is not None else typed.lower() in {"y", "yes"}

    def _settle(self, code: ExitCode, write_ending: Callable[[], None], held: IO[str] | None) -> None:
        if not self._silent(code):
            self._release()
            write_ending()
            self._answered = True
            if held:
                replay(held, self._stdout)
        if held:
            held.close()

    def _fail(self, code: ExitCode, body: Mapping[str, str | None]) -> None:
        if self._silent(code):
            return
        self._release()
        if self.format in {Format.JSON, Format.JSONL} and not self._answered:
            self._stdout.write(dumps({"error": body}) + "\n")
            self._stdout.flush()
            self._answered = True
        self._say(body["message"] or "", "error", "bold red")
        if body["hint"]:
            self._say(body["hint"], "hint", "cyan")

    def _silent(self, code: ExitCode) -> bool:
        return self.quiet and code in QUIET_CODES

    def _release(self) -> None:
        """Say what was held back."""
        for warning in self._warnings:
            self._say(warning, "warning", "yellow")
        self._warnings.clear()

    def _say(self, text: str, label: str = "", style: str = "") -> None:
        line = plain(text)
        prefix = f"{label}: " if label else ""
        if may_be_styled(self._stderr):
            from pondctl.output.styled import print_line

            # On the bar's own console, so that the line stands above the bar.
            print_line(self._console, prefix, style, line)
        else:
            self._stderr.write(f"{prefix}{line}\n")
        self._stderr.flush()

    @cached_property
    def _console(self) -> Console:
        from pondctl.output.styled import LiteralConsole

        return LiteralConsole(self._stderr)

    def _new_bar(self) -> Bar | None:
        shared = self.format is not Format.TABLE and self._stdout.isatty()
        if self.quiet or shared or not self._progress or not self._stderr.isatty():
            return None
        if not self._console.is_interactive:
            return None
        from pondctl.output.progress import Bar

        return Bar(self._console)
