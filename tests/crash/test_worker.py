"""Workers killed and stopped anywhere: no message lost, no effect doubled, the next worker finishes."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.long_form import LONG
from tests.queue_world import QueueWorld, plain
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, World

pytestmark = pytest.mark.crash


@pytest.fixture
def queue(world: World, sqs: SqsServer) -> QueueWorld:
    world.account_is_large()
    return QueueWorld(world, sqs)


def bulk_changes(queue: QueueWorld, number: int, devices: int = 4) -> list[int]:
    """Bulk changes of active devices, and one message for each."""
    for place, iccid in enumerate(ICCIDS):
        queue.world.thingspace.add(iccid, state="active", msisdn=f"1201555{place:04}")
    bulks = [queue.world.given(*random.Random(n).sample(ICCIDS, devices)) for n in range(number)]
    for bulk in bulks:
        queue.put(bulk, RetryNumber=1)
    return bulks


def slow(queue: QueueWorld, seconds: float = 0.15) -> None:
    queue.world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, seconds))


def start(queue: QueueWorld, *words: str) -> subprocess.Popen[str]:
    return queue.world.spawn("worker", "--workers", "2", "--concurrency", "2", *words, **queue.settings)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def assert_all_done(queue: QueueWorld, bulks: list[int]) -> None:
    assert {queue.world.header(bulk)["Status"] for bulk in bulks} == {"PROCESSED"}
    for bulk in bulks:
        assert all(row["MSISDN"] and row["IsProcessed"] for row in queue.world.rows(bulk))
        logged = [entry["M2MDeviceChangeId"] for entry in queue.world.log(bulk) if entry["M2MDeviceChangeId"]]
        assert len(logged) == len(set(logged))
    assert queue.letters() == []


@pytest.mark.parametrize("calls", [0, 1, 6, 15])
def test_killed_anywhere_the_next_worker_finishes(queue: QueueWorld, calls: int) -> None:
    bulks = bulk_changes(queue, 6)
    slow(queue)
    process = start(queue)
    until(lambda: queue.world.calls("thingspace.lookup") >= calls)
    process.kill()
    process.communicate()
    queue.world.sandbox.clear_faults()
    queue.sqs.queue(queue.url).show_all()

    assert queue.work().exit_code == 0
    assert_all_done(queue, bulks)
    assert queue.messages == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_worker_in_an_orderly_way(queue: QueueWorld, number: int, code: int) -> None:
    bulks = bulk_changes(queue, 4, devices=20)
    slow(queue, 0.3)
    process = start(queue)
    until(lambda: queue.world.calls("thingspace.lookup") >= 4)
    began, asked = time.monotonic(), queue.world.calls("thingspace.lookup")

    process.send_signal(number)
    _, stderr = process.communicate(timeout=25)

    assert process.returncode == code, stderr
    assert time.monotonic() - began < 25
    assert queue.world.calls("thingspace.lookup") <= asked + 8
    assert len(queue.messages) == 4
    assert not any(message.hidden for message in queue.messages)
    assert {plain(message)["RetryNumber"] for message in queue.messages} == {"1"}
    queue.world.sandbox.clear_faults()
    assert queue.work().exit_code == 0
    assert_all_done(queue, bulks)


def test_an_idle_worker_stops_at_once(queue: QueueWorld) -> None:
    process = start(queue)
    until(lambda: queue.sqs.calls["ReceiveMessage", "checks"] >= 1)
    began = time.monotonic()

    process.terminate()
    process.communicate(timeout=25)

    assert process.returncode == 143
    assert time.monotonic() - began < 15


def test_workers_killed_and_started_at_random_lose_nothing(queue: QueueWorld) -> None:
    rng = random.Random(5)
    bulks = bulk_changes(queue, 24)
    slow(queue, 0.05)
    queue.sqs.queue(queue.url).longest_visibility = 2
    workers = [start(queue) for _ in range(2)]
    for _ in range(8 if LONG else 5):
        time.sleep(rng.uniform(0.4, 1.4))
        victim = rng.randrange(len(workers))
        workers[victim].send_signal(rng.choice((signal.SIGKILL, signal.SIGTERM)))
        workers[victim].communicate()
        workers[victim] = start(queue)
    for process in workers:
        process.terminate()
        process.communicate()
    queue.world.sandbox.clear_faults()

    def drained() -> bool:
        queue.sqs.queue(queue.url).show_all()
        assert queue.work().exit_code == 0
        return not queue.messages

    until(drained, 90)
    assert_all_done(queue, bulks)


def test_killed_between_commit_and_delete_the_message_has_no_second_effect(queue: QueueWorld) -> None:
    for iccid in ICCIDS[:2]:
        queue.world.thingspace.add(iccid, state="pending activation")
    bulk = queue.world.given(*ICCIDS[:2])
    queue.put(bulk, RetryNumber=1)
    queue.sqs.fail("DeleteMessageBatch", "com.amazonaws.sqs#ServiceUnavailable", status=503, times=99)

    assert queue.work().exit_code == 0
    queue.sqs.reset_faults()
    queue.sqs.queue(queue.url).show_all(delayed=False)
    result = queue.work("-o", "json")

    assert result.json["worked_off"] == 1
    assert [plain(message)["RetryNumber"] for message in queue.messages] == ["2"]
