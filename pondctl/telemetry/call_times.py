"""How long carriers took to answer, counted for each run: for its report, whoever looks at it later.

A call belongs to the run whose id its thread's log context carries; calls outside a run are not kept.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from pondctl.telemetry.log_context import log_facts

# Upper bounds in seconds; one more bucket holds what took longer.
BOUNDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

_lock = threading.Lock()
_counts: dict[str, dict[str, list[int]]] = {}


def note_call(carrier: str, endpoint: str, seconds: float) -> None:
    """Count a call that was answered."""
    run_id = log_facts().get("run_id")
    if run_id is None:
        return
    with _lock:
        calls = _counts.setdefault(run_id, {})
        buckets = calls.setdefault(f"{carrier} {endpoint}", [0] * (len(BOUNDS) + 1))
        buckets[bisect_left(BOUNDS, seconds)] += 1


def take_calls(run_id: str) -> Mapping[str, list[int]]:
    """Carrier and endpoint, and a count for each bucket, of a run; they are forgotten here."""
    with _lock:
        return _counts.pop(run_id, {})


def calls_name(run_id: str) -> str:
    """The name under which the response times of a run's calls are kept."""
    return f"calls:{run_id}"
