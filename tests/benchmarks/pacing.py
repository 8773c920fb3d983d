"""Processes that share one rate: how much of it they use, and whether the carrier ever sees more."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.carrier import LOOKUP, Carrier
from tests.benchmarks.figures import Figure, figure
from tests.benchmarks.process import Started, sync_bulk
from tests.benchmarks.workload import seeded

_LATENCY_MS = 50.0


def measure(rounds: int, *, full: bool) -> list[Figure]:
    """Four processes at 20 a second, and one at 100; with `full` for a minute each."""
    seconds = 60 if full else 15
    return [
        *_figures(rounds if full else 1, 20, processes=4, seconds=seconds),
        *_figures(rounds if full else 1, 100, processes=1, seconds=seconds),
    ]


def _figures(rounds: int, rate: int, *, processes: int, seconds: int) -> list[Figure]:
    found = [_round(rate, processes, seconds) for _ in range(rounds)]
    of = f"{processes} at once, {rate} a second, {seconds} s"
    return [
        figure(of, "calls in the worst sliding second", (worst for worst, _ in found), f"<= {rate}"),
        figure(of, "share of the rate used", (share for _, share in found), ">= 0.95"),
    ]


def _round(rate: int, processes: int, seconds: int) -> tuple[float, float]:
    """By the carrier's clock: the worst second of all calls, and the share while all were at it."""
    devices = rate * seconds
    with Carrier(devices, _LATENCY_MS) as carrier, tempfile.TemporaryDirectory() as folder:
        workload = seeded(Path(folder) / "rows.db", devices, bulk_changes=processes)
        carrier.forget()
        environment = carrier.environment | {"PONDCTL_DATABASE__URL": workload.url}
        started = [
            Started(sync_bulk(number, "lookup", workers=16, rps=rate), environment)
            for number in workload.bulk_change_ids
        ]
        for process in started:
            process.wait()
        worst = carrier.calls("thingspace.*").worst_second
        by_process = [
            carrier.times_of(LOOKUP, workload.iccids(number)) for number in workload.bulk_change_ids
        ]
    begin, end = max(times[0] for times in by_process), min(times[-1] for times in by_process)
    steady = [at for times in by_process for at in times if begin <= at <= end]
    return worst, (len(steady) - 1) / (end - begin) / rate
