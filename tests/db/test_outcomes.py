from __future__ import annotations

from pondctl.db.database import Database
from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Outcome

PENDING = DeviceOutcome("8901", Outcome.PENDING, carrier_state="pending activation", device_change_id=3)
FAILED = DeviceOutcome("8902", Outcome.FAILED, Category.NOT_FOUND, None, "12015550123", "not known", 4)


def test_outcomes_are_paged_in_the_order_of_deciding(database: Database) -> None:
    database.write(lambda unit: unit.outcomes.add("run-1", [PENDING, FAILED]))
    database.write(lambda unit: unit.outcomes.add("run-2", [PENDING]))

    page = database.read(lambda unit: unit.outcomes.page("run-1", 0, 1))
    rest = database.read(lambda unit: unit.outcomes.page("run-1", page[-1].seq, 10))

    assert [stored.outcome for stored in (*page, *rest)] == [PENDING, FAILED]


def test_outcomes_are_counted_for_their_run(database: Database) -> None:
    database.write(lambda unit: unit.outcomes.add("run-1", [PENDING, PENDING, FAILED]))

    counts = database.read(lambda unit: unit.outcomes.counts("run-1"))

    assert counts == {Outcome.PENDING: 2, Outcome.FAILED: 1}


def test_the_last_outcome_of_each_row_is_found(database: Database) -> None:
    unknown = DeviceOutcome("8901", Outcome.UNKNOWN, Category.NETWORK, device_change_id=3)
    database.write(lambda unit: unit.outcomes.add("run-1", [unknown, unknown, FAILED]))
    database.write(lambda unit: unit.outcomes.add("run-2", [PENDING]))

    newest = database.read(lambda unit: unit.outcomes.newest_of(["8901", "8902"]))
    lost = database.read(lambda unit: unit.outcomes.page_unknown(0, 10))

    assert newest == {3: PENDING, 4: FAILED}
    assert [stored.outcome for stored in lost] == [unknown]
