"""Ask a carrier about many devices at once, and hand the answers to one thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pondctl.errors import DeviceError
from pondctl.models import Stop
from pondctl.telemetry.log_context import in_log_context

T = TypeVar("T")
A = TypeVar("A")

# How long the caller may wait for an answer before it gets a turn to save what it has.
_TURN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Answer(Generic[T, A]):
    """What a carrier said about one item; a `DeviceError` is an answer too."""

    item: T
    value: A | DeviceError


def ask_all(
    items: Iterable[T], ask: Callable[[T], A], *, workers: int, stop: Stop
) -> Iterator[Answer[T, A] | None]:
    """Yield one answer an item, in the order they arrive; None when none came for half a second.

    `items` is read in the caller's thread, never far ahead of the answers. Once `stop` is set
    nothing new is asked and what is in flight is still handed out. An exception that is no
    `DeviceError` concerns the run: what is in flight is handed out first, then it is raised.
    """
    asking = _Asking(ask, workers, stop)
    feed = iter(items)
    try:
        while asking.fill(feed):
            yield from asking.next_answer()
    finally:
        # Also when the caller gives up: threads that have not begun their item must not.
        asking.close()
    if asking.failure is not None:
        raise asking.failure


class _Asking(Generic[T, A]):
    def __init__(self, ask: Callable[[T], A], workers: int, stop: Stop) -> None:
        self._ask = ask
        self._workers = workers
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._items: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[T, A | BaseException | None]] = queue.SimpleQueue()
        self._in_flight = 0
        self._fed = False
        self._closed = False
        self.failure: BaseException | None = None

    def fill(self, feed: Iterator[T]) -> bool:
        """Keep the threads busy; False when nothing is asked or in flight any more."""
        # Enough for them to go on while the caller saves a batch.
        while self._in_flight < 4 * self._workers and not self._ended():
            try:
                item = next(feed)
            except StopIteration:
                self._fed = True
            else:
                self._in_flight += 1
                self._items.put((item,))
                if len(self._threads) < min(self._in_flight, self._workers):
                    self._start_thread()
        return self._in_flight > 0

    def next_answer(self) -> Iterator[Answer[T, A] | None]:
        try:
            item, value = self._answers.get(timeout=_TURN_SECONDS)
        except queue.Empty:
            yield None
            return
        self._in_flight -= 1
        if isinstance(value, BaseException) and not isinstance(value, DeviceError):
            self.failure = self.failure or value
        elif value is not None:
            yield Answer(item, value)

    def close(self) -> None:
        """Let the threads end what they have begun, and wait for them."""
        self._closed = True
        for _ in self._threads:
            self._items.put(None)
        for thread in self._threads:
            thread.join()

    def _start_thread(self) -> None:
        # A daemon, or a generator that an error left unfinished would keep the program from ending.
        work = in_log_context(self._work)
        thread = threading.Thread(target=work, name=f"ask-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (item := self._items.get()) is not None:
            self._one(*item)

    def _ended(self) -> bool:
        return self._fed or self._closed or self.failure is not None or self._stop.is_set()

    def _one(self, item: T) -> None:
        # None marks an item that was handed out but not begun when the run stopped.
        value: A | BaseException | None = None
        try:
            if not (self._closed or self.failure or self._stop.is_set()):
                value = self._ask(item)
        except BaseException as error:
            value = error
        self._answers.put((item, value))
