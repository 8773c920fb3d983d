"""How large pondctl had been after a tenth of the work, and in all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from math import ceil
from pathlib import Path

from tests.benchmarks.carrier import PAGE, Carrier
from tests.benchmarks.figures import Figure, figure
from tests.benchmarks.process import Took, run, sync_bulk
from tests.benchmarks.scan import PAGE_SIZE
from tests.benchmarks.workload import Workload, seeded


def measure(rounds: int, *, full: bool) -> list[Figure]:
    """A scan of 200,000 devices and 5,000 lookups; with `full` 1,000,000 and 100,000."""
    scanned, looked_up = (1_000_000, 100_000) if full else (200_000, 5000)
    return [*_of_a_scan(scanned, rounds), *_of_lookups(looked_up, 1)]


def _of_a_scan(devices: int, rounds: int) -> list[Figure]:
    with Carrier(devices) as carrier, tempfile.TemporaryDirectory() as folder:

        def a_tenth_is_read() -> bool:
            return carrier.counts().get(PAGE, 0) >= ceil(devices / PAGE_SIZE / 10)

        found = [
            _took(carrier, Path(folder) / "rows.db", devices, lambda _: a_tenth_is_read, "scan")
            for _ in range(rounds)
        ]
    return _figures(f"size of a scan of {devices:,} devices (a tenth: of the account is read)", found)


def _of_lookups(devices: int, rounds: int) -> list[Figure]:
    def a_tenth_is_settled(workload: Workload) -> Callable[[], bool]:
        return lambda: workload.settled() >= devices / 10

    with Carrier(devices) as carrier, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.db"
        found = [_took(carrier, path, devices, a_tenth_is_settled, "lookup") for _ in range(rounds)]
    return _figures(f"size of {devices:,} lookups (a tenth: of the rows is settled)", found)


def _took(
    carrier: Carrier,
    path: Path,
    devices: int,
    mark: Callable[[Workload], Callable[[], bool]],
    strategy: str,
) -> Took:
    workload = seeded(path, devices)
    carrier.forget()
    return run(
        sync_bulk(workload.bulk_change_id, strategy, workers=32),
        carrier.environment | {"PONDCTL_DATABASE__URL": workload.url},
        reached=mark(workload),
    )


def _figures(of: str, found: list[Took]) -> list[Figure]:
    return [
        figure(of, "largest size, MiB", (took.peak_mib for took in found), "<= 200"),
        figure(of, "largest size after a tenth, MiB", (took.early_mib for took in found)),
        figure(of, "all beside a tenth", (t.peak_mib / t.early_mib for t in found), "0.9 to 1.1"),
    ]
