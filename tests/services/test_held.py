from __future__ import annotations

import tracemalloc
from pathlib import Path

from pondctl.db.database import Database
from pondctl.errors import Category
from pondctl.models import DeviceChange, DeviceOutcome, Outcome
from pondctl.services.syncing.held import Held
from pondctl.services.syncing.open_rows import OpenRows
from tests.benchmarks.workload import seeded

UNKNOWN = "ThingSpace does not know this device"


def refused(category: Category, detail: str, outcome: Outcome = Outcome.FAILED) -> DeviceOutcome:
    return DeviceOutcome("", outcome, category, detail=detail)


def row(row_id: int) -> DeviceChange:
    return DeviceChange(row_id, 1, None, None, None, None, False, False, None, None, None)


def test_rows_come_back_as_they_are_now_each_with_what_was_said_of_it(tmp_path: Path) -> None:
    database = Database.open(seeded(tmp_path / "rows.db", 2500).url)
    work = OpenRows(database, 1)
    held = Held(work)
    for change in (*work.page(0), *work.page(1000), *work.page(2000)):
        odd = change.id % 2
        said = refused(Category.NOT_FOUND, UNKNOWN) if odd else refused(Category.NETWORK, "cut")
        held.add(change, said)
    settled = [1, 2000]
    database.write(lambda unit: unit.device_changes.settle_failed([(i, "x") for i in settled]))

    found = {change.id: (error.category, error.message) for change, error in held.release()}

    assert sorted(found) == [i for i in range(1, 2501) if i not in settled]
    assert found[2499] == (Category.NOT_FOUND, UNKNOWN)
    assert found[2] == (Category.NETWORK, "cut")
    assert len(held) == 0


def test_a_held_row_is_a_few_bytes(tmp_path: Path) -> None:
    held = Held(OpenRows(Database.open(f"sqlite:///{tmp_path / 'none.db'}"), 1))
    tracemalloc.start()
    for row_id in range(20_000):
        held.add(row(row_id), refused(Category.NOT_FOUND, UNKNOWN))
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert grown < 16 * 20_000
