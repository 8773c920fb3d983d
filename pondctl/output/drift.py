"""What `reconcile` prints: findings as they come, then the whole in a few lines or keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol, Self

from pondctl.errors import ExitCode
from pondctl.output.drift_formats import DriftCsv, DriftJson, DriftJsonl, DriftTable, Item
from pondctl.output.results import error_body, exit_code_of
from pondctl.output.safe import exact

if TYPE_CHECKING:
    from pondctl.output.progress import Bar
    from pondctl.services.drift.report import ReconcileResult


class DriftWriter(Protocol):
    """One format."""

    def open(self, run_id: str) -> None:
        """The run has begun."""

    def items(self, items: Sequence[Item]) -> None:
        """Some findings."""

    def close(self, summary: Mapping[str, object]) -> None:
        """The run is over."""


class DriftRun:
    """The report a `reconcile` talks to. Whatever leaves the block, the document is complete afterwards."""

    def __init__(
        self,
        writer: DriftWriter,
        *,
        bar: Bar | None,
        warn: Callable[[str], None],
        done: Callable[[ExitCode, Callable[[], None]], None],
        drop: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._drop = drop
        self._bar = bar
        self._done = done
        self._run_id: str | None = None
        self._result: ReconcileResult | None = None
        self.warn = warn

    def run(self, run_id: str) -> None:
        """Open the document."""
        self._run_id = run_id
        self._writer.open(run_id)

    def phase(self, text: str, total: int | None) -> None:
        """Start the bar anew."""
        if self._bar:
            self._bar.phase(text, total)

    def advance(self, steps: int) -> None:
        """Move the bar."""
        if self._bar:
            self._bar.advance(steps)

    def items(self, items: Sequence[Item]) -> None:
        """Write the findings."""
        self._writer.items(items)

    def finish(self, result: ReconcileResult) -> None:
        """Keep the result until the block is left."""
        self._result = result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        if self._run_id is None or isinstance(error, BrokenPipeError):
            self._drop()
            return
        if error is None and self._result is None:
            error = RuntimeError("the run ended without a result")
        summary = self._summary(self._run_id, error)
        code = exit_code_of(error) if error or not self._result else self._result.exit_code
        self._done(code, lambda: self._writer.close(summary))

    def _summary(self, run_id: str, error: BaseException | None) -> dict[str, object]:
        result = self._result
        if result is None:
            begun: dict[str, object] = {"status": "error", "complete": False, "counts": {}}
        else:
            extra = {key: exact(value, key) for key, value in result.extra.items()}
            begun = {
                **extra,
                "status": "error" if error else result.status,
                "complete": result.complete,
                "dry_run": result.dry_run,
                "counts": dict(result.counts),
                "mended": dict(result.mended),
                "hints": list(result.hints),
            }
        return begun if error is None else begun | {"error": error_body(error)}


def begin(
    place: tuple[str, IO[str], Callable[[str], None]],
    *,
    bar: Bar | None,
    warn: Callable[[str], None],
    done: Callable[[ExitCode, Callable[[], None]], None],
    drop: Callable[[], None],
) -> DriftRun:
    """The report in a format: (its name, where data goes, what tells a line to the person).

    `done` gets the exit code and what writes the ending; `drop` is called where nothing was begun.
    """
    form, stream, tell = place
    writer: DriftWriter
    match form:
        case "json":
            writer = DriftJson(stream)
        case "jsonl":
            writer = DriftJsonl(stream)
        case "csv":
            writer = DriftCsv(stream, tell)
        case _:
            writer = DriftTable(stream, tell)
    return DriftRun(writer, bar=bar, warn=warn, done=done, drop=drop)
