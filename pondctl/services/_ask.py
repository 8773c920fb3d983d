"""Ask a carrier about many devices at once, and hand the answers to one thread."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from pondctl.errors import DeviceError
from pondctl.models import Stop

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
    with ThreadPoolExecutor(workers, thread_name_prefix="ask") as pool:
        try:
            while asking.fill(pool, feed):
                yield from asking.next_answer()
        finally:
            # Also when the caller gives up: threads that have not begun their item must not.
            asking.closed = True
    if asking.failure is not None:
        raise asking.failure


class _Asking(Generic[T, A]):
    def __init__(self, ask: Callable[[T], A], workers: int, stop: Stop) -> None:
        self._ask = ask
        # Enough for the threads to go on while the caller saves a batch.
        self._ahead = 4 * workers
        self._stop = stop
        self._answers: queue.SimpleQueue[tuple[T, A | BaseException | None]] = queue.SimpleQueue()
        self._in_flight = 0
        self._fed = False
        self.closed = False
        self.failure: BaseException | None = None

    def fill(self, pool: ThreadPoolExecutor, feed: Iterator[T]) -> bool:
        """Keep the threads busy; False when nothing is asked or in flight any more."""
        while self._in_flight < self._ahead and not self._ended():
            try:
                item = next(feed)
            except StopIteration:
                self._fed = True
            else:
                self._in_flight += 1
                pool.submit(self._one, item)
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

    def _ended(self) -> bool:
        return self._fed or self.closed or self.failure is not None or self._stop.is_set()

    def _one(self, item: T) -> None:
        # None marks an item that was handed out but not begun when the run stopped.
        value: A | BaseException | None = None
        try:
            if not (self.closed or self.failure or self._stop.is_set()):
                value = self._ask(item)
        except BaseException as error:
            value = error
        self._answers.put((item, value))
