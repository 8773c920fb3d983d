"""One call a device: pondctl beside the loop of the existing system, Verizon's SDK, and the latency."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.carrier import LOOKUP, Calls, Carrier
from tests.benchmarks.figures import Figure, figure, ratios
from tests.benchmarks.process import Took, run, sync_bulk
from tests.benchmarks.workload import seeded

WORKERS, LATENCY_MS = 64, 100.0
LIMIT = WORKERS / (LATENCY_MS / 1000)
# The peers are asked for less, or the slowest would take hours; what is compared is devices a second.
_OF_THE_LOOP, _OF_THE_SDK = 40, 3000


@dataclass(frozen=True)
class _Round:
    devices: int
    pondctl: Took
    calls: Calls
    loop: Took
    looped: int
    sdk: Took
    asked_by_sdk: int

    @property
    def speed(self) -> float:
        return self.devices / self.pondctl.seconds


def measure(rounds: int, *, full: bool) -> list[Figure]:
    """1,000 and 5,000 devices; with `full` 10,000 and 100,000, too."""
    sizes = ((1000, rounds), (10_000, rounds), (100_000, 1)) if full else ((1000, rounds), (5000, rounds))
    return [found for devices, turns in sizes for found in _figures(devices, turns)]


def _figures(devices: int, rounds: int) -> list[Figure]:
    with Carrier(devices, LATENCY_MS) as carrier, tempfile.TemporaryDirectory() as folder:
        found = [_round(carrier, Path(folder) / "rows.db", devices) for _ in range(rounds)]
    of = f"sync-bulk --strategy lookup, {devices:,} devices, {WORKERS} workers, {LATENCY_MS:.0f} ms"
    speed = [r.speed for r in found]
    loop = [r.looped / r.loop.seconds for r in found]
    sdk = [r.asked_by_sdk / r.sdk.seconds for r in found]
    return [
        figure(of, "share of workers / latency, whole process", (s / LIMIT for s in speed)),
        figure(
            of,
            "share of workers / latency, first call to last answer",
            (devices / r.calls.span / LIMIT for r in found),
            ">= 0.9",
        ),
        figure(of, "devices a second, whole process", speed),
        ratios(of, "times as fast as the one-by-one loop", speed, loop),
        ratios(of, "times as fast as Verizon's SDK in as many threads", speed, sdk),
        figure(of, "processor ms a device", (1000 * r.pondctl.cpu_seconds / devices for r in found)),
        figure(of, "  the loop's", (1000 * r.loop.cpu_seconds / r.looped for r in found)),
        figure(of, "  the SDK's", (1000 * r.sdk.cpu_seconds / r.asked_by_sdk for r in found)),
        figure(of, "largest size, MiB", (r.pondctl.peak_mib for r in found), "<= 200"),
        figure(of, "  the SDK's", (r.sdk.peak_mib for r in found)),
        figure(
            of,
            "calls beyond one a device and two tokens",
            (sum(r.calls.counts.values()) - devices - 2 for r in found),
            "0",
        ),
    ]


def _round(carrier: Carrier, path: Path, devices: int) -> _Round:
    workload = seeded(path, devices)
    carrier.forget()
    ours = run(
        sync_bulk(workload.bulk_change_id, "lookup", workers=WORKERS),
        carrier.environment | {"PONDCTL_DATABASE__URL": workload.url},
    )
    calls = carrier.calls(LOOKUP)
    looped, asked = min(devices, _OF_THE_LOOP), min(devices, _OF_THE_SDK)
    seeded(path, devices)
    loop = run(["-m", "tests.benchmarks.peer_loop", str(path), str(looped)], carrier.environment)
    words = ["-m", "tests.benchmarks.peer_sdk", "lookups", str(asked), str(WORKERS)]
    sdk = run(words, carrier.environment)
    return _Round(devices, ours, calls, loop, looped, sdk, asked)
