"""One run on its way to the reader: what is decided is written at once, only counts are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from pondctl.errors import ExitCode, PondctlError
from pondctl.models import DeviceOutcome, Outcome, Retry, RunResult

if TYPE_CHECKING:
    from pondctl.output.progress import Bar


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a run before the first device is decided."""

    command: str
    run_id: str
    dry_run: bool
    bulk_change_id: int | None


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of a run when it is over, also when it was cut short by an error."""

    head: Head
    counts: Mapping[Outcome, int]
    status: str
    retry: Retry | None = None
    hints: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    error: Mapping[str, str | None] | None = None


class Writer(Protocol):
    """One format of a run."""

    def open(self, head: Head) -> None:
        """The run has begun."""

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """These devices are decided."""

    def close(self, ending: Ending) -> None:
        """The run is over. Not called where the exit code asks for silence."""


class RunReport:
    """The `Report` a service talks to. Whatever leaves the block, the document is complete afterwards.

    The ending is written when the block is left, not at `finish`: an error after `finish` is the truth
    to tell. `done` gets the exit code and what writes the ending, and calls that where it may be printed.
    """

    def __init__(
        self,
        command: str,
        writer: Writer,
        *,
        bar: Bar | None,
        done: Callable[[ExitCode, Callable[[], None]], None],
    ) -> None:
        self._command = command
        self._writer = writer
        self._bar = bar
        self._done = done
        self._head: Head | None = None
        self._result: RunResult | None = None
        self._counts: Counter[Outcome] = Counter()

    def run(self, run_id: str, *, bulk_change_id: int | None, dry_run: bool, total: int | None) -> None:
        """Open the document, and the bar over `total` devices until a phase is named."""
        self._head = Head(self._command, run_id, dry_run, bulk_change_id)
        self._writer.open(self._head)
        if self._bar:
            self._bar.begin(self._command, total)

    def phase(self, text: str, total: int | None) -> None:
        """Start the bar anew."""
        if self._bar:
            self._bar.phase(text, total)

    def advance(self, steps: int) -> None:
        """Move the bar."""
        if self._bar:
            self._bar.advance(steps)

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """Write the devices and count them."""
        self._counts.update(outcome.outcome for outcome in outcomes)
        self._writer.devices(outcomes)
        if self._bar:
            self._bar.count(self._counts, len(outcomes))

    def finish(self, result: RunResult) -> None:
        """Keep the result until the block is left."""
        if self._head is None:
            self.run(result.run_id, bulk_change_id=result.bulk_change_id, dry_run=result.dry_run, total=0)
        self._result = result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        # Nobody reads any more: writing the rest would only hide where the pipe broke.
        if self._head is None or isinstance(error, BrokenPipeError):
            return
        if error is None and self._result is None:
            error = RuntimeError("the run ended without a result")
        ending = self._ending(self._head, error)
        code = exit_code_of(error) if error or not self._result else self._result.exit_code
        self._done(code, lambda: self._writer.close(ending))

    def _ending(self, head: Head, error: BaseException | None) -> Ending:
        body = error_body(error) if error else None
        if self._result is None:
            return Ending(head, self._counts, "error", error=body)
        result = self._result
        status = "error" if error else result.status
        return Ending(head, result.counts, status, result.retry, result.hints, result.extra, body)


def error_body(error: BaseException) -> dict[str, str | None]:
    """What json shows of an error. Of a bug only the kind: its text may hold anything."""
    match error:
        case PondctlError():
            return {"code": error.code, "message": error.message, "hint": error.hint}
        case KeyboardInterrupt():
            return {"code": "interrupted", "message": "interrupted", "hint": None}
        case _:
            return {"code": "bug", "message": f"unexpected error: {type(error).__name__}", "hint": None}


def exit_code_of(error: BaseException | None) -> ExitCode:
    """The exit code that an error ends in."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.SIGINT
    return error.exit_code if isinstance(error, PondctlError) else ExitCode.BUG
