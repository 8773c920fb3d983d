"""One line on a terminal that says how a service is doing; nothing anywhere else."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import IO, Self

from pondctl.output.safe import plain

_EVERY_SECONDS = 0.5
_ERASE = "\x1b[2K"


class StatusLine:
    """A context manager. The cursor stays at the beginning of the line, so that a log line replaces it."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream
        self._due = 0.0

    def show(self, text: str) -> None:
        """Replace the line, at most twice a second."""
        if self._stream is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_SECONDS
        width = shutil.get_terminal_size().columns - 1
        self._write(f"{_ERASE}{plain(text)[:width]}\r")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
