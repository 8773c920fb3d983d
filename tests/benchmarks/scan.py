"""The account page by page: pondctl from start to end beside the loop, the SDK, and its own parts bare."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from tests.benchmarks.carrier import Carrier
from tests.benchmarks.figures import Figure, figure, ratios
from tests.benchmarks.limits import Parsing, Spent, page_of, parsing, writing
from tests.benchmarks.process import Took, run, sync_bulk
from tests.benchmarks.workload import seeded

PAGE_SIZE = 2000
# Devices of the bulk change that the account does not hold: each is asked for by itself.
STRANGERS = 5
_OF_THE_LOOP, _OF_THE_SDK = 200, 10_000


@dataclass(frozen=True)
class _Round:
    devices: int
    pondctl: Took
    calls: dict[str, int]
    loop: Took
    looped: int
    sdk: Took
    asked_by_sdk: int
    parsing: Parsing
    writing: Spent

    @property
    def speed(self) -> float:
        return self.devices / self.pondctl.seconds

    @property
    def bare(self) -> Spent:
        """The bare JSON of all pages and the bare writes of all rows, one after the other."""
        pages, page = self.devices / self.parsing.devices, self.parsing.json
        return Spent(
            page.seconds * pages + self.writing.seconds,
            page.cpu_seconds * pages + self.writing.cpu_seconds,
        )

    @property
    def extra_calls(self) -> int:
        """Beyond pages, two tokens, and one for each device that the pages did not show."""
        return sum(self.calls.values()) - ceil(self.devices / PAGE_SIZE) - 2 - STRANGERS


def measure(rounds: int, *, full: bool) -> list[Figure]:
    """1,000 and 100,000 devices; with `full` 1,000,000, too."""
    sizes = [(1000, rounds), (100_000, rounds)] + [(1_000_000, rounds)] * full
    return [found for devices, turns in sizes for found in _figures(devices, turns)]


def _figures(devices: int, rounds: int) -> list[Figure]:
    with Carrier(devices) as carrier, tempfile.TemporaryDirectory() as folder:
        page = page_of(carrier)
        found = [_round(carrier, Path(folder) / "rows.db", devices, page) for _ in range(rounds)]
    of = f"sync-bulk --strategy scan, {devices:,} devices"
    speed = [r.speed for r in found]
    loop = [r.looped / r.loop.seconds for r in found]
    sdk = [r.asked_by_sdk / r.sdk.seconds for r in found]
    ours = [r.parsing.ours_cpu_seconds for r in found]
    bare = [r.parsing.json.cpu_seconds for r in found]
    return [
        figure(of, "devices a second, whole process into SQLite", speed, ">= 10,000 at 100,000"),
        ratios(of, "times as fast as the one-by-one loop (no latency)", speed, loop),
        ratios(of, "times as fast as reading alone with Verizon's SDK", speed, sdk),
        ratios(
            of,
            "seconds beside bare json + bare SQLite writes",
            [r.pondctl.seconds for r in found],
            [r.bare.seconds for r in found],
        ),
        ratios(
            of,
            "  processor seconds",
            [r.pondctl.cpu_seconds for r in found],
            [r.bare.cpu_seconds for r in found],
        ),
        ratios(of, "reading a page beside bare json", ours, bare, "<= 2"),
        figure(of, "processor ms a device", (1000 * r.pondctl.cpu_seconds / devices for r in found)),
        figure(of, "  the loop's", (1000 * r.loop.cpu_seconds / r.looped for r in found)),
        figure(of, "  the SDK's", (1000 * r.sdk.cpu_seconds / r.asked_by_sdk for r in found)),
        figure(of, "largest size, MiB", (r.pondctl.peak_mib for r in found), "<= 200"),
        figure(of, "  the SDK's", (r.sdk.peak_mib for r in found)),
        figure(of, "calls", (sum(r.calls.values()) for r in found)),
        figure(of, "calls beyond pages, tokens and devices not shown", (r.extra_calls for r in found), "0"),
    ]


def _round(carrier: Carrier, path: Path, devices: int, page: bytes) -> _Round:
    workload = seeded(path, devices, strangers=STRANGERS)
    carrier.forget()
    ours = run(
        sync_bulk(workload.bulk_change_id, "scan"),
        carrier.environment | {"PONDCTL_DATABASE__URL": workload.url},
    )
    calls = carrier.counts()
    looped, asked = min(devices, _OF_THE_LOOP), min(devices, _OF_THE_SDK)
    written = writing(seeded(path, devices), devices)
    seeded(path, looped)
    loop = run(["-m", "tests.benchmarks.peer_loop", str(path), str(looped)], carrier.environment)
    sdk = run(["-m", "tests.benchmarks.peer_sdk", "pages", str(asked)], carrier.environment)
    return _Round(devices, ours, calls, loop, looped, sdk, asked, parsing(page), written)
