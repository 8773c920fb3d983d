"""What the benchmarks count and a busy machine cannot change: calls, statements, size, the rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pondctl.sandbox import SandboxConfig
from pondctl.sandbox.fleet import Fleet
from tests.benchmarks.carrier import Carrier
from tests.benchmarks.process import Started, Took, run, sync_bulk
from tests.benchmarks.workload import seeded
from tests.long_form import LONG
from tests.world import World

pytestmark = pytest.mark.scale

LARGEST_MIB = 200
FEW, STRANGERS = 20_000 if LONG else 4500, 3


def scan(carrier: Carrier, folder: Path, devices: int, strangers: int = 0) -> Took:
    workload = seeded(folder / f"{devices}.db", devices, strangers=strangers)
    carrier.forget()
    return run(
        sync_bulk(workload.bulk_change_id, "scan"),
        carrier.environment | {"PONDCTL_DATABASE__URL": workload.url},
    )


@pytest.fixture(scope="module")
def small_scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Took, dict[str, int]]:
    """A scan of a few pages, and what the carrier was asked."""
    with Carrier(FEW) as carrier:
        took = scan(carrier, tmp_path_factory.mktemp("small"), FEW, STRANGERS)
        return took, carrier.counts()


def test_a_scan_makes_a_call_for_each_page_two_for_tokens_and_one_for_each_device_not_shown(
    small_scan: tuple[Took, dict[str, int]],
) -> None:
    _, calls = small_scan

    assert sum(calls.values()) == ceil(FEW / 2000) + 2 + STRANGERS


def test_ten_times_the_devices_take_no_more_memory(
    small_scan: tuple[Took, dict[str, int]], tmp_path: Path
) -> None:
    small, _ = small_scan
    with Carrier(10 * FEW) as carrier:
        large = scan(carrier, tmp_path, 10 * FEW)

    # 16 MiB of it are the pages that SQLite may keep of a database which is larger than they are.
    assert large.peak_mib <= min(LARGEST_MIB, small.peak_mib + 24)


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Every statement that goes to a driver; what it does to many rows at once is one."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("strategy", ["lookup", "scan"])
def test_no_statement_per_device(world: World, strategy: str) -> None:
    devices = 10_000 if LONG else 2000
    fleet = Fleet(SandboxConfig(devices=devices))
    iccids = [fleet.iccid(place) for place in range(devices)]
    for iccid in iccids:
        world.thingspace.add(iccid, "active")
    bulk = world.given(*iccids)

    with counted_statements() as statements:
        result = world.run("sync-bulk", bulk, "--strategy", strategy, "--workers", 16)

    assert result.exit_code in (0, 8)
    assert world.calls("lookup") == (devices if strategy == "lookup" else 0)
    # Lookups are written as they come, so a slow machine needs more batches for as many devices.
    # A run has about a hundred of its own: claim, record, alerts, end.
    assert len(statements) < 150 + devices / (4 if strategy == "lookup" else 50)


def test_processes_that_share_a_rate_never_exceed_it_on_the_carriers_clock(tmp_path: Path) -> None:
    rate, seconds = 20, 60 if LONG else 3
    with Carrier(rate * seconds) as carrier:
        workload = seeded(tmp_path / "rows.db", rate * seconds, bulk_changes=4)
        environment = carrier.environment | {"PONDCTL_DATABASE__URL": workload.url}
        started = [
            Started(sync_bulk(number, "lookup", rps=rate), environment) for number in workload.bulk_change_ids
        ]
        for process in started:
            process.wait()
        calls = carrier.calls("thingspace.*")

    # A machine that is busy with other tests lets calls wait and then come together.
    assert calls.worst_second <= rate + (0 if LONG else 2)
    assert len(calls.at) <= rate * (calls.span + 1)
