"""The bar on stderr. Imported only where there is one to draw: Rich is slow to load."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.text import Text

from pondctl.models import Outcome
from pondctl.output.safe import plain, words


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class Bar:
    """Progress of one run; it vanishes when the run is over. Called by the main thread only."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            Remaining(),
            TextColumn("{task.fields[counts]}", markup=False),
            console=console,
            transient=True,
            refresh_per_second=4,
            # stdout is data and belongs to the writers; a bar must not pull it to stderr.
            redirect_stdout=False,
        )
        self._task: TaskID | None = None
        self._counts = ""
        self._moved_by_devices = True

    def begin(self, text: str, total: int | None) -> None:
        """Show a bar that decided devices move, until `phase` says what else does."""
        self._show(text, total)
        self._progress.start()

    def phase(self, text: str, total: int | None) -> None:
        """Begin anew; from now on only `advance` moves the bar."""
        self._moved_by_devices = False
        self._show(text, total)
        self._progress.start()

    def advance(self, steps: int) -> None:
        """So many steps are over."""
        if self._task is not None:
            self._progress.advance(self._task, steps)

    def count(self, counts: Mapping[Outcome, int], devices: int) -> None:
        """Show the counts by outcome after so many more devices."""
        self._counts = words((outcome.value, counts[outcome]) for outcome in Outcome if counts.get(outcome))
        if self._task is not None:
            steps = devices if self._moved_by_devices else 0
            self._progress.update(self._task, advance=steps, counts=self._counts)

    def stop(self) -> None:
        """Take the bar off the screen."""
        self._progress.stop()

    def _show(self, text: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(plain(text), total=total, counts=self._counts)
