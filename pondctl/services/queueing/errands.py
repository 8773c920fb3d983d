"""Calls that may hang, each on a thread that the end of the program does not wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Errand = Callable[[], None]


class Errands:
    """A few threads that do what they are given, in the order it is given. Errands raise nothing."""

    def __init__(self, threads: int, name: str) -> None:
        self._waiting: SimpleQueue[Errand | None] = SimpleQueue()
        self._threads = threads
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def send(self, errand: Errand) -> None:
        """Do it as soon as a thread is free."""
        self._waiting.put(errand)

    def close(self) -> None:
        """Take nothing more; what waits is still done."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (errand := self._waiting.get()) is not None:
            errand()
