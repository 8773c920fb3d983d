"""`bulk create` and `bulk cancel` killed anywhere: all or nothing, and the next one goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.long_form import LONG
from tests.world import World

pytestmark = pytest.mark.crash

DEVICES = 20_000 if LONG else 5000
MOMENTS = [number / 20 for number in range(60)] if LONG else [0.7, 1.0, 1.3, 1.6, 2.0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "devices.txt"
    path.write_text("\n".join(f"8914800000{number:09d}8" for number in range(DEVICES)))
    return path


def count(world: World, table: str, where: str = "1 = 1") -> int:
    return int(world._select(f"(SELECT COUNT(*) AS n FROM {table} WHERE {where}) AS counted")[0]["n"])


@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_creation_killed_anywhere_left_all_or_nothing(world: World, file: Path, seconds: float) -> None:
    asked = ("--operation", "sync", "--service-provider", 2, "--from", file, "--enqueue")
    process = world.spawn("bulk", "create", *asked)
    time.sleep(seconds)
    process.kill()
    process.communicate()

    sizes = [count(world, name) for name in ('"BulkChange"', world.own_name("message"))]
    rows = count(world, '"M2M_DeviceChange"')
    assert (sizes, rows) in (([0, 0], 0), ([1, 1], DEVICES))


@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_cancellation_killed_anywhere_is_finished_by_the_next(
    world: World, file: Path, seconds: float
) -> None:
    asked = ("--operation", "sync", "--service-provider", 2, "--from", file)
    bulk = int(world.run("bulk", "create", *asked, "-o", "json").json["id"])
    process = world.spawn("bulk", "cancel", bulk, "--reason", "wrong list", "--yes")
    time.sleep(seconds)
    process.kill()
    process.communicate()

    result = world.run("bulk", "cancel", bulk, "--reason", "wrong list", "--yes", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert world.header(bulk)["Status"] == "ERROR"
    assert count(world, '"M2M_DeviceChange"', "\"StatusDetails\" = 'cancelled: wrong list'") == DEVICES
    logged = "\"LogEntryDescription\" = 'pondctl bulk cancel: cancelled'"
    assert count(world, '"DeviceBulkChangeLog"', logged) == DEVICES
