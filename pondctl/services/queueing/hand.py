"""The messages in a worker's hands: kept invisible to others for as long as their work takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pondctl.clients.queue import Queue
from pondctl.errors import PondctlError
from pondctl.models import Stop
from pondctl.telemetry.logger import Logger

# SQS lets nobody hold a message for more than 12 hours.
LONGEST_SECONDS: Final = 11 * 3600.0
_LOOK_SECONDS: Final = 0.2
_TOO_OLD: Final = "its message cannot be held any longer"
_log = Logger()


class _RunStop(Stop):
    """Set with the worker's, at the very moment: the carriers' clients look at that one."""

    def __init__(self, worker: Stop) -> None:
        super().__init__()
        self._worker = worker

    def is_set(self) -> bool:
        """Whether this run, or the whole worker, is to stop."""
        if self._worker.is_set() and not super().is_set():
            self.request(self._worker.why or "stop")
        return super().is_set()


@dataclass(slots=True)
class _Held:
    """`stop` is there once somebody works on it: most messages of a full queue are settled already."""

    since: float
    is_too_old: bool = False
    stop: Stop | None = None


class Hand:
    """Renews the visibility of what is held at a third of its time, from a thread of its own.

    Each message has a `Stop` of its own: set with the worker's, or when it was held too long.
    """

    def __init__(self, queue: Queue, stop: Stop, visibility_seconds: int) -> None:
        self._queue = queue
        self._stop = stop
        self._visibility_seconds = visibility_seconds
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="visibility", daemon=True)

    def __enter__(self) -> Hand:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, receipts: Collection[str]) -> None:
        """These messages are in our hands now."""
        now = time.monotonic()
        with self._lock:
            self._held.update((receipt, _Held(now)) for receipt in receipts)

    def stop_of(self, receipt: str) -> Stop:
        """What stops the work on one message."""
        with self._lock:
            held = self._held.setdefault(receipt, _Held(time.monotonic()))
            if held.stop is None:
                held.stop = _RunStop(self._stop)
                if held.is_too_old:
                    held.stop.request(_TOO_OLD)
            return held.stop

    def drop(self, receipts: Collection[str]) -> None:
        """These messages are deleted, or given back."""
        with self._lock:
            for receipt in receipts:
                self._held.pop(receipt, None)

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._over.wait(_LOOK_SECONDS):
            if self._stop.is_set():
                self._stop_all()
            if time.monotonic() - renewed >= self._visibility_seconds / 3:
                renewed = time.monotonic()
                self._renew(renewed)

    def _stop_all(self) -> None:
        with self._lock:
            for held in self._held.values():
                if held.stop is not None:
                    held.stop.request(self._stop.why or "stop")

    def _renew(self, now: float) -> None:
        with self._lock:
            receipts = list(self._held)
            for held in self._held.values():
                if now - held.since > LONGEST_SECONDS:
                    held.is_too_old = True
                    if held.stop is not None:
                        held.stop.request(_TOO_OLD)
        if not receipts:
            return
        try:
            results = self._queue.change_visibility_batch(receipts, self._visibility_seconds)
        except PondctlError as error:
            _log.warning("messages in hand not renewed", error=error.message)
            return
        lost = sum(not result.ok for result in results)
        if lost:
            # Deleted a moment ago, or in other hands by now: the lease and the key hold both apart.
            _log.debug("messages no longer in hand", count=lost)
