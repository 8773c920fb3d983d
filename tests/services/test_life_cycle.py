"""The frame and the engine around the steps: intents before calls, few commits, and how a run ends."""

from __future__ import annotations

import shutil
import threading
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.db.database import Database
from pondctl.errors import InterruptedRunError, PondctlError, UnavailableError
from pondctl.models import DeviceOutcome, Operation, Outcome, RunResult, Stop
from pondctl.services.lifecycle.life_cycle import LifeCycle
from pondctl.services.lifecycle.request import LifeLimits, LifeRequest
from pondctl.services.syncing.next_check import CheckPolicy
from pondctl.services.targets.targets import Target
from tests.audited import somebody
from tests.services.steps_driver import LOST, REFUSED

TYPE = 1001


class Carrier(PondClient):
    """A POND in memory. `on_call` may look, wait or raise."""

    def __init__(self, on_call: Callable[[str, str], None] = lambda name, iccid: None) -> None:
        self._on_call = on_call
        self._lock = threading.Lock()
        self.packages: dict[str, list[Package]] = {}

    def list_packages(self, iccid: str, statuses: object = None) -> list[Package]:
        self._on_call("list", iccid)
        with self._lock:
            return list(self.packages.get(iccid, ()))

    def add_package(self, iccid: str, package_type_id: int, before: Callable[[], None]) -> Package:
        before()
        self._on_call("add", iccid)
        made = Package(
            str(uuid.uuid4()), package_type_id, PackageStatus.NOT_ACTIVE, "NOT_ACTIVE", None, 1, iccid
        )
        with self._lock:
            self.packages.setdefault(iccid, []).append(made)
        return made

    def set_package_status(
        self, iccid: str, package_id: str, status: PackageStatus, before: Callable[[], None]
    ) -> None:
        before()
        self._on_call(str(status), iccid)


class Listener:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.outcomes: list[DeviceOutcome] = []
        self.result: RunResult | None = None

    def run(self, run_id: str, *, bulk_change_id: int | None, dry_run: bool, total: int | None) -> None:
        self.run_id = run_id

    def phase(self, text: str, total: int | None) -> None:
        pass

    def advance(self, steps: int) -> None:
        pass

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        self.outcomes += outcomes

    def finish(self, result: RunResult) -> None:
        self.result = result


@pytest.fixture
def database(made_file: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "test.db"
    shutil.copyfile(made_file, path)
    opened = Database.open(f"sqlite:///{path}")
    yield opened
    opened.close()


def iccids(count: int) -> list[str]:
    return [f"89148{number:014d}" for number in range(count)]


def activate(
    database: Database, carrier: PondClient, count: int, *, stop: Stop | None = None, workers: int = 8
) -> Listener:
    stop = stop or Stop()
    limits = LifeLimits(1234, settle_seconds=0.2)
    service = LifeCycle(database, carrier, somebody(database), limits, CheckPolicy(), "embedded", stop)
    request = LifeRequest(Operation.ACTIVATE, package_type_id=TYPE, workers=workers)
    listener = Listener()
    scope = service.scope(request, [Target(iccid) for iccid in iccids(count)])
    service.run(request, scope, listener)
    return listener


def steps(database: Database, where: str = "1 = 1") -> list[dict[str, object]]:
    with sa.create_engine(database.host_address.url, poolclass=sa.NullPool).connect() as connection:
        query = f"SELECT * FROM pondctl_step WHERE kind NOT IN ('claim', 'targets') AND {where}"
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def test_every_call_that_changes_something_finds_its_intent_committed(database: Database) -> None:
    kinds = {"add": "add_package", "ACTIVE": "activate_package"}
    unwritten: list[tuple[str, str]] = []

    def look(name: str, iccid: str) -> None:
        if name in kinds and not steps(
            database, f"iccid = '{iccid}' AND kind = '{kinds[name]}' AND state = 'open'"
        ):
            unwritten.append((name, iccid))

    listener = activate(database, Carrier(look), 20)

    assert unwritten == []
    assert {outcome.outcome for outcome in listener.outcomes} == {Outcome.DONE}


def test_what_many_devices_need_is_committed_together(database: Database) -> None:
    commits: list[object] = []
    sa.event.listen(database.host_engine, "commit", commits.append)

    activate(database, Carrier(lambda name, iccid: time.sleep(0.02)), 200, workers=16)

    # 600 calls, an intent for 400 of them, an outcome for each.
    assert len(commits) < 200


def test_no_more_calls_are_under_way_than_there_are_workers(database: Database) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def count(name: str, iccid: str) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    activate(database, Carrier(count), 60, workers=4)

    assert most[0] == 4


def test_a_bug_in_a_write_leaves_it_unknown_and_ends_the_run(database: Database) -> None:
    def break_(name: str, iccid: str) -> None:
        if name == "add":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        activate(database, Carrier(break_), 1)

    assert [step["state"] for step in steps(database)] == ["unknown"]


def test_after_ctrl_c_nothing_is_begun_and_what_was_under_way_is_saved(database: Database) -> None:
    stop = Stop()
    begun: list[str] = []

    def stop_at_the_fifth(name: str, iccid: str) -> None:
        begun.append(iccid)
        if len(begun) == 5:
            stop.request("sigint")
        time.sleep(0.05)

    with pytest.raises(InterruptedRunError) as caught:
        activate(database, Carrier(stop_at_the_fifth), 50, stop=stop, workers=4)

    assert len(begun) <= 8
    assert caught.value.hint is not None
    assert "pondctl runs resume" in caught.value.hint
    assert steps(database, "state = 'open'") == []
    run = database.read(lambda unit: unit.runs.list_recent(1))[0]
    assert run.state == "interrupted"


def test_a_device_whose_answer_was_lost_is_unknown_when_the_run_is_stopped(database: Database) -> None:
    stop = Stop()

    def lose(name: str, iccid: str) -> None:
        if name == "add":
            stop.request("sigterm")
            raise LOST

    listener = Listener()
    service = LifeCycle(
        database,
        Carrier(lose),
        somebody(database),
        LifeLimits(1, settle_seconds=60),
        CheckPolicy(),
        "q",
        stop,
    )
    request = LifeRequest(Operation.ACTIVATE, package_type_id=TYPE)
    with pytest.raises(PondctlError):
        service.run(request, service.scope(request, [Target(iccids(1)[0])]), listener)

    assert [outcome.outcome for outcome in listener.outcomes] == [Outcome.UNKNOWN]
    assert [step["state"] for step in steps(database)] == ["unknown"]


def test_a_run_over_everything_that_went_wrong_is_not_early(database: Database) -> None:
    def refuse(name: str, iccid: str) -> None:
        raise REFUSED

    listener = activate(database, Carrier(refuse), 12, workers=16)

    assert listener.result is not None
    assert listener.result.counts == {Outcome.FAILED: 12}
    assert listener.result.exit_code == 3


def test_a_run_that_brakes_brings_to_its_end_what_it_has_begun(database: Database) -> None:
    order = iter(range(10_000))

    def refuse_some(name: str, iccid: str) -> None:
        if name == "list" and next(order) % 3:
            raise REFUSED
        time.sleep(0.01)

    with pytest.raises(UnavailableError, match="stopped by itself"):
        activate(database, Carrier(refuse_some), 90, workers=4)

    assert steps(database, "state <> 'done'") == []
    with sa.create_engine(database.host_address.url, poolclass=sa.NullPool).connect() as connection:
        open_ = connection.execute(
            sa.text(
                "SELECT COUNT(*) FROM pondctl_step WHERE kind = 'claim' AND state IN ('open', 'released')"
            )
        ).scalar_one()
    assert open_ == 0


def test_memory_does_not_grow_with_the_devices(database: Database) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        activate(database, Carrier(), count, workers=16)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)
    small, large = peak(100), peak(300)

    # The listener keeps its outcomes: that is the test's own memory, half a kilobyte for each.
    assert large - small < 200 * 2500
