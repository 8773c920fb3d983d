"""The live view of a bulk change. Imported only where there is a terminal: Rich is slow to load."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pondctl.output.safe import plain
from pondctl.output.styled import style_of

_WIDTH = 40


class LiveView:
    """Redrawn in place with every look, and gone at the end. Called by the main thread only."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._began = time.monotonic()

    def start(self) -> None:
        """Take the place on the screen."""
        self._live.start()

    def update(self, look: Mapping[str, Any]) -> None:
        """Draw what is seen now."""
        self._live.update(self._drawn(look), refresh=True)

    def stop(self) -> None:
        """Leave the screen; twice does no harm."""
        self._live.stop()

    def _drawn(self, look: Mapping[str, Any]) -> Group:
        status = str(look["status"])
        elapsed = time.strftime("%H:%M:%S", time.gmtime(time.monotonic() - self._began))
        head = Text.assemble(
            f"bulk change {plain(look['id'])}  ", (plain(status), style_of(status)), f"  {elapsed}"
        )
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=max(1, look["devices"]), completed=look["settled"], width=_WIDTH),
            f"{look['settled']:,} of {look['devices']:,} settled",
        )
        counts = Text("  ").join(
            Text(f"{count:,} {plain(word)}", style=style_of(word)) for word, count in look["counts"].items()
        )
        waits = Text(plain(f"waits for {look['waits_for']}") if look["waits_for"] else "")
        return Group(head, bar, counts, waits)
