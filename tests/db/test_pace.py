from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.pace import DatabasePace
from pondctl.models import Stop
from tests.long_form import LONG

RATE = 20
SECONDS = 60 if LONG else 5
# The short form shares its cores with other tests: a process that wakes late gives its slot up.
USED = 0.95 if LONG else 0.8


def calls_of_threads(database: Database, seconds: float, threads: int, rate: float = RATE) -> list[float]:
    """Call as often as the pace allows, and note when; times are those of the machine's clock."""
    stop = Stop()
    pace = DatabasePace(database, "thingspace:1", rate, stop)
    calls: list[float] = []
    end = time.time() + seconds

    def call() -> None:
        while True:
            pace.wait()
            if stop.is_set():
                return
            calls.append(time.time())

    workers = [threading.Thread(target=call) for _ in range(threads)]
    for worker in workers:
        worker.start()
    time.sleep(max(0.0, end - time.time()))
    stop.request("sigterm")
    for worker in workers:
        worker.join()
    return calls


def most_in_a_second(calls: Iterable[float]) -> int:
    ordered = sorted(calls)
    first = most = 0
    for place, at in enumerate(ordered):
        while at - ordered[first] >= 1.0:
            first += 1
        most = max(most, place - first + 1)
    return most


def _call_elsewhere(url: str, seconds: float, results: multiprocessing.Queue[list[float]]) -> None:
    database = Database.open(url)
    results.put(calls_of_threads(database, seconds, threads=4))
    database.close()


@pytest.mark.scale
def test_four_processes_together_use_the_rate_and_never_exceed_it(database: Database) -> None:
    database.read(lambda unit: unit.now())
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    url = database.host_address.url.render_as_string(hide_password=False)
    processes = [spawn.Process(target=_call_elsewhere, args=(url, SECONDS, results)) for _ in range(4)]
    for process in processes:
        process.start()
    parts = [results.get(timeout=SECONDS + 60) for _ in processes]
    for process in processes:
        process.join()

    # Full demand is there from when the last process has started until the first has stopped.
    begin, end = max(min(part) for part in parts), min(max(part) for part in parts)
    calls = [at for part in parts for at in part]
    steady = [at for at in calls if begin <= at <= end]
    assert most_in_a_second(calls if LONG else steady) <= RATE
    assert (len(steady) - 1) / (end - begin) >= USED * RATE


def test_threads_of_one_process_share_the_rate(database: Database) -> None:
    calls = calls_of_threads(database, 2.0, threads=8, rate=100)

    assert most_in_a_second(calls) <= 100
    assert len(calls) >= 100


def test_a_rate_that_is_no_whole_number_is_never_exceeded(database: Database) -> None:
    calls = calls_of_threads(database, 2.0, threads=4, rate=2.5)

    assert most_in_a_second(calls) <= 2


def test_a_stop_lets_everyone_go_at_once(database: Database) -> None:
    stop = Stop()
    pace = DatabasePace(database, "slow", 0.01, stop)
    pace.wait()
    threads = [threading.Thread(target=pace.wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    stop.request("sigint")
    for thread in threads:
        thread.join()

    assert time.monotonic() - began < 2


def test_throttling_holds_every_process_and_halves_the_rate_once(database: Database) -> None:
    stop = Stop()
    here, there = (DatabasePace(database, "pond:1", 50, stop) for _ in range(2))
    here.wait()
    began = time.monotonic()

    for _ in range(5):
        here.throttled(0.7)
    there.wait()

    assert time.monotonic() - began >= 0.65
    table = database.own_tables.pace
    factor = database.read(lambda unit: unit.state.execute(sa.select(table.c.factor)).scalar_one())
    assert factor == 0.5


def test_the_first_call_of_a_process_goes_alone(database: Database) -> None:
    stop = Stop()
    first = DatabasePace(database, "thingspace:1", RATE, stop)
    first.wait()
    began = time.monotonic()
    DatabasePace(database, "thingspace:1", RATE, stop).wait()

    assert time.monotonic() - began > 1.5 / RATE


def test_what_a_call_needs_is_made_ready_before_its_turn(database: Database) -> None:
    pace = DatabasePace(database, "thingspace:1", RATE, Stop())
    told: list[float] = []

    def prepare() -> None:
        told.append(time.monotonic())
        if len(told) == 1:
            time.sleep(0.3)

    pace.wait(prepare)

    assert len(told) > 1, "the turn was over before all was ready, and was not given up"


def test_names_do_not_share(database: Database) -> None:
    stop = Stop()
    DatabasePace(database, "pond:1", 0.01, stop).wait()
    began = time.monotonic()

    DatabasePace(database, "pond:2", 0.01, stop).wait()

    assert time.monotonic() - began < 2


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_meant_is_refused(database: Database, rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        DatabasePace(database, "x", rate, Stop())


@pytest.mark.parametrize(("throttled", "waits"), [(False, False), (True, True)])
def test_a_slot_from_before_the_clock_was_set_back_is_not_waited_for(
    database: Database, throttled: bool, waits: bool
) -> None:
    """A hold that the carrier asked for lies as far ahead, and is kept."""
    stop = Stop()
    DatabasePace(database, "thingspace:1", RATE, stop).wait()
    table = database.own_tables.pace
    ahead = int((time.time() + 600) * 1_000_000)
    changes = {"next_slot": ahead} | ({"throttled_at": ahead} if throttled else {})
    with database.state_engine.begin() as connection:
        connection.execute(sa.update(table).values(**changes))

    pace = DatabasePace(database, "thingspace:1", RATE, stop)
    waiting = threading.Thread(target=pace.wait)
    waiting.start()
    waiting.join(timeout=3 if waits else 20)

    assert waiting.is_alive() == waits
    stop.request("sigterm")
    waiting.join(timeout=10)
