"""Many messages, doubled, out of order, their visibility running out: none lost, no effect twice."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.long_form import LONG
from tests.queue_world import QueueWorld, plain
from tests.sqs_server import SqsServer
from tests.world import World

pytestmark = pytest.mark.scale

# `PONDCTL_TEST_LONG=1` sends the 10,000 messages that are promised; a short form runs otherwise.
MESSAGES = 10_000 if LONG else 150
DEVICES = 2


@pytest.fixture
def queue(world: World, sqs: SqsServer) -> QueueWorld:
    world.account_is_large()
    return QueueWorld(world, sqs)


def iccid(number: int) -> str:
    return f"8914800001{number:010d}"


def given(queue: QueueWorld) -> dict[int, list[str]]:
    """Bulk changes, each of two devices of its own, in all states a fleet is in; and a message for each."""
    devices: dict[int, list[str]] = {}
    for number in range(MESSAGES):
        own = [iccid(number * DEVICES + place) for place in range(DEVICES)]
        for each in own:
            queue.world.thingspace.add(each, state="active", msisdn=f"1{int(each[-9:]):010d}")
        devices[queue.world.given(*own)] = own
    for bulk in devices:
        queue.put(bulk, RetryNumber=1)
    return devices


@pytest.mark.timeout(3600 if LONG else 240)
def test_duplicates_reordering_and_lost_visibility_change_nothing(queue: QueueWorld) -> None:
    devices = given(queue)
    stored = queue.sqs.queue(queue.url)
    stored.twice, stored.shuffled, stored.longest_visibility = 0.2, True, 3
    queue.world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, 0.01))
    settings = queue.settings | {"PONDCTL_THINGSPACE__REQUESTS_PER_SECOND": "5000"}
    deadline = time.monotonic() + (3000 if LONG else 200)
    codes: list[int] = []
    while queue.messages and time.monotonic() < deadline:
        workers = [
            queue.world.spawn("worker", "--once", "-q", "--concurrency", "6", **settings) for _ in range(2)
        ]
        codes += [worker.wait() for worker in workers]
        for worker in workers:
            worker.communicate()
        stored.show_all()

    assert queue.messages == []
    assert set(codes) == {0}
    assert queue.letters() == []
    assert {queue.world.header(bulk)["Status"] for bulk in devices} == {"PROCESSED"}
    logged = Counter(
        (entry["BulkChangeId"], entry["M2MDeviceChangeId"])
        for entry in queue.world.whole_log()
        if entry["M2MDeviceChangeId"]
    )
    assert set(logged.values()) == {1}
    assert len(logged) == MESSAGES * DEVICES


def test_a_fifo_queue_is_worked_off_in_order_and_its_checks_wait_in_the_outbox(
    world: World, sqs: SqsServer
) -> None:
    queue = QueueWorld(world, sqs, "checks.fifo")
    world.thingspace.add(iccid(1), state="pending activation")
    bulk = world.given(iccid(1))
    sqs.queue(queue.url).send(_fifo(bulk, "first"))
    settings = {"PONDCTL_QUEUE__PENDING_CHECK_SECONDS": "3"}

    assert queue.work("--max-messages", "1", **settings).exit_code == 0

    assert queue.messages == []
    [done, held] = sorted(world.own("message"), key=lambda row: row["id"])
    assert (done["state"], held["state"]) == ("done", "waiting")
    world.thingspace.add(iccid(1), state="active", msisdn="12015550123")
    time.sleep(3.1)
    assert queue.work(**settings).exit_code == 0
    assert world.header(bulk)["Status"] == "PROCESSED"
    assert queue.messages == []


def test_a_copy_of_a_busy_bulk_change_is_not_taken_for_a_repeated_send(world: World, sqs: SqsServer) -> None:
    """Within five minutes a FIFO queue drops a message whose name it has seen."""
    queue = QueueWorld(world, sqs, "checks.fifo")
    world.thingspace.add(iccid(1), state="pending activation")
    bulk = world.given(iccid(1))
    assert queue.sync(bulk, PONDCTL_QUEUE__PENDING_CHECK_SECONDS="1").exit_code == 8
    time.sleep(1.1)
    queue.work("--max-messages", "1", PONDCTL_QUEUE__PENDING_CHECK_SECONDS="1")
    time.sleep(1.1)
    queue.work("--max-messages", "1", PONDCTL_QUEUE__PENDING_CHECK_SECONDS="900")

    numbers = [int(row["retry_number"]) for row in world.messages(bulk)]
    assert numbers == [1, 2, 3]


def _fifo(bulk: int, key: str) -> dict[str, Any]:
    from tests.queue_world import entry

    return entry(bulk) | {"MessageGroupId": str(bulk), "MessageDeduplicationId": key}


def test_scheduler_portal_and_retries_may_all_ask_at_once(queue: QueueWorld) -> None:
    """Three producers, one bulk change: one chain of checks."""
    queue.world.thingspace.add(iccid(1), state="pending activation")
    bulk = queue.world.given(iccid(1), Status="PROCESSING")
    queue.put(bulk, RetryNumber=1)
    queue.put(
        bulk, IsRetryNewActivateThingSpaceDevice="False", IsFromAutomatedUpdateDeviceStatusLambda="True"
    )
    queue.sync(bulk)

    assert queue.work().exit_code == 0

    assert len({plain(message)["RetryNumber"] for message in queue.messages}) == 1
    assert len(queue.messages) == 1
