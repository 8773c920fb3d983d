"""What this process has measured since it last wrote it down: counters, histograms, and facts of the moment.

The vocabulary is here, once; `metrics_file` writes it. While no metrics file is set nothing is kept.
Labels are words of a fixed list (a command, a carrier, a path as a template): never an identifier.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

Labels = tuple[tuple[str, str], ...]

_CALLS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DEVICES: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_RUNS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0)
_WAITS: Final = (0.01, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. With `buckets` it is a histogram of seconds; `_total` at its end makes it a counter."""

    help: str
    buckets: tuple[float, ...] = ()

    def kind_of(self, name: str) -> str:
        """The word of the text format."""
        if self.buckets:
            return "histogram"
        return "counter" if name.endswith("_total") else "gauge"


METRICS: Final[Mapping[str, Metric]] = {
    "pondctl_device_seconds": Metric(
        "From taking a device in hand until its carrier's answer; none of devices that a scan decides.",
        _DEVICES,
    ),
    "pondctl_devices_total": Metric("Devices decided, by command, outcome and category."),
    "pondctl_run_seconds": Metric("How long runs took.", _RUNS),
    "pondctl_runs_total": Metric("Runs that ended, by command and how."),
    "pondctl_checks_queued_total": Metric("Next checks queued: planned ones, and retries after trouble."),
    "pondctl_messages_total": Metric("Messages that workers dealt with, by what became of them."),
    "pondctl_call_seconds": Metric("Response time of carrier calls.", _CALLS),
    "pondctl_calls_total": Metric("Carrier calls by HTTP status; none: no whole answer."),
    "pondctl_call_retries_total": Metric("Carrier calls that were a further attempt."),
    "pondctl_throttled_total": Metric("Answers by which a carrier said: too many requests."),
    "pondctl_pace_wait_seconds": Metric("How long calls waited for the allowed rate.", _WAITS),
    "pondctl_refused_logins_total": Metric("Logins that a carrier refused."),
    "pondctl_notifications_total": Metric("Notifications by kind of channel and whether they went out."),
    "pondctl_exits_total": Metric("Commands that ended, by exit code."),
    "pondctl_last_success_timestamp_seconds": Metric("When a command last ended with 0 or 8, Unix time."),
    "pondctl_last_end_timestamp_seconds": Metric("When a command last ended, however, Unix time."),
    "pondctl_last_duration_seconds": Metric("How long a command took when it last ended."),
    "pondctl_worker_loop_timestamp_seconds": Metric("When a worker was last seen at work, Unix time."),
    "pondctl_queue_messages": Metric("Messages in the queue by state."),
    "pondctl_queue_oldest_seconds": Metric("Age of the oldest message that is due."),
    "pondctl_dead_letters": Metric("Open dead letters in the inbox."),
    "pondctl_dead_letters_oldest_seconds": Metric("Age of the oldest open dead letter."),
    "pondctl_dead_letters_unsaved": Metric("Messages still in the dead-letter queue of SQS."),
    "pondctl_open_bulk_changes": Metric("Bulk changes that have not ended."),
    "pondctl_open_unknown": Metric("Carrier writes whose answer was lost and not read back yet."),
    "pondctl_stale_runs": Metric("Runs that died without ending."),
    "pondctl_login_strikes": Metric("ThingSpace logins refused in a row; at 2 pondctl stops trying."),
    "pondctl_alert_open": Metric("Open alerts by kind."),
}


@dataclass(slots=True)
class Samples:
    """Numbers by name and labels. Histograms are kept as counts of each bucket, the last one for the rest."""

    counters: dict[tuple[str, Labels], float] = field(default_factory=dict)
    gauges: dict[tuple[str, Labels], float] = field(default_factory=dict)
    buckets: dict[tuple[str, Labels], list[int]] = field(default_factory=dict)
    sums: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Whether nothing was measured."""
        return not (self.counters or self.gauges or self.buckets)


class _Registry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_on = False
        self.samples = Samples()


_registry = _Registry()


def switch(*, on: bool) -> None:
    """Begin to keep what is measured, from nothing; or stop, and forget it."""
    with _registry.lock:
        _registry.is_on, _registry.samples = on, Samples()


def is_on() -> bool:
    """Whether anybody wants to know."""
    return _registry.is_on


def count(name: str, amount: float = 1, /, **labels: object) -> None:
    """Add to a counter."""
    if _registry.is_on:
        with _registry.lock:
            key = _key(name, labels)
            _registry.samples.counters[key] = _registry.samples.counters.get(key, 0.0) + amount


def observe(name: str, seconds: float, /, **labels: object) -> None:
    """Add one observation to a histogram."""
    if _registry.is_on:
        bounds = METRICS[name].buckets
        with _registry.lock:
            key, samples = _key(name, labels), _registry.samples
            samples.buckets.setdefault(key, [0] * (len(bounds) + 1))[bisect_left(bounds, seconds)] += 1
            samples.sums[key] = samples.sums.get(key, 0.0) + seconds


@contextmanager
def timed(name: str, **labels: object) -> Iterator[None]:
    """Observe how long the block takes, however it ends."""
    began = time.monotonic()
    try:
        yield
    finally:
        observe(name, time.monotonic() - began, **labels)


def note(name: str, value: float, /, **labels: object) -> None:
    """Set a fact of the moment."""
    if _registry.is_on:
        with _registry.lock:
            _registry.samples.gauges[_key(name, labels)] = value


def forget(name: str, /, **labels: object) -> None:
    """A fact of the moment is one no more: its line goes."""
    note(name, math.nan, **labels)


def take() -> Samples:
    """Hand out what was measured, and begin anew."""
    with _registry.lock:
        taken, _registry.samples = _registry.samples, Samples()
        return taken


def give_back(samples: Samples) -> None:
    """What could not be written down counts the next time."""
    with _registry.lock:
        mine = _registry.samples
        for key, value in samples.counters.items():
            mine.counters[key] = mine.counters.get(key, 0.0) + value
        for key, counts in samples.buckets.items():
            known = mine.buckets.get(key, [0] * len(counts))
            mine.buckets[key] = [a + b for a, b in zip(known, counts, strict=True)]
            mine.sums[key] = mine.sums.get(key, 0.0) + samples.sums[key]
        mine.gauges = samples.gauges | mine.gauges


def _key(name: str, labels: Mapping[str, object]) -> tuple[str, Labels]:
    assert name in METRICS, name
    return name, tuple(sorted((label, str(value)) for label, value in labels.items()))
