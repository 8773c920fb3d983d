"""The embedded queue does what SQS does: visibility, receive count, delay, death by too many receives."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pondctl.clients.queue import OutgoingMessage, Queue
from pondctl.db.database import Database
from pondctl.db.records import DeadLetterFilter
from pondctl.models import EMBEDDED_QUEUE, Stop
from pondctl.services.queueing.embedded_queue import EmbeddedQueue
from tests.world import World


@pytest.fixture
def database(world: World) -> Iterator[Database]:
    with closing(Database.open(world.url)) as database:
        yield database


@pytest.fixture
def queue(database: Database) -> EmbeddedQueue:
    return EmbeddedQueue(database, Stop(), max_receives=2)


def message(key: str, delay: int = 0) -> OutgoingMessage:
    return OutgoingMessage(key, {"BulkChangeId": "42", "RetryNumber": "3"}, "body", delay)


def take(queue: Queue, limit: int = 10, visibility: int = 30) -> list[str]:
    return [m.receipt for m in queue.receive(limit, wait_seconds=0, visibility_seconds=visibility)]


def test_it_is_a_queue(queue: EmbeddedQueue) -> None:
    as_queue: Queue = queue
    assert (as_queue.name, as_queue.longest_delay_seconds) == (EMBEDDED_QUEUE, None)


def test_what_is_sent_is_received_as_it_was(queue: EmbeddedQueue) -> None:
    assert [result.ok for result in queue.send_batch([message("k-1")])] == [True]

    [received] = queue.receive(10, wait_seconds=0)

    assert (received.message_id, received.body, received.receive_count) == ("k-1", "body", 1)
    assert received.attributes == {"BulkChangeId": "42", "RetryNumber": "3"}
    assert received.sent_at is not None


def test_a_key_that_is_there_is_not_put_in_again(queue: EmbeddedQueue) -> None:
    queue.send_batch([message("k-1"), message("k-1")])
    queue.send_batch([message("k-1")])

    assert len(take(queue)) == 1


def test_what_is_in_hand_is_nobody_elses_until_its_visibility_ends(queue: EmbeddedQueue) -> None:
    queue.send_batch([message("k-1")])

    assert len(take(queue, visibility=1)) == 1
    assert take(queue) == []
    time.sleep(1.1)
    assert len(take(queue)) == 1


def test_visibility_can_be_renewed_and_given_up(queue: EmbeddedQueue) -> None:
    queue.send_batch([message("k-1")])
    receipts = take(queue, visibility=1)

    assert queue.change_visibility_batch(receipts, 30)[0].ok
    time.sleep(1.1)
    assert take(queue) == []
    assert queue.change_visibility_batch(receipts, 0)[0].ok
    assert len(take(queue)) == 1


def test_a_receipt_of_yesterday_changes_nothing(queue: EmbeddedQueue) -> None:
    queue.send_batch([message("k-1")])
    old = take(queue, visibility=0)
    new = take(queue)

    assert not queue.change_visibility_batch(old, 0)[0].ok
    queue.delete_batch(old)
    assert queue.depth().in_flight == 1
    queue.delete_batch(new)
    assert queue.depth().in_flight == 0


def test_a_delay_of_any_length_holds_a_message_back(queue: EmbeddedQueue) -> None:
    queue.send_batch([message("k-1", delay=86_400), message("k-2")])

    assert len(take(queue)) == 1
    depth = queue.depth()
    assert (depth.waiting, depth.delayed, depth.in_flight) == (0, 1, 1)


def test_what_was_received_too_often_becomes_a_dead_letter(queue: EmbeddedQueue, database: Database) -> None:
    queue.send_batch([message("k-1"), message("k-2")])
    for _ in range(2):
        assert len(take(queue, visibility=0)) == 2

    assert take(queue) == []

    letters = database.read(lambda unit: unit.dead_letters.list_matching(DeadLetterFilter()))
    assert [(letter.key, letter.bulk_change_id, letter.category) for letter in letters] == [
        ("k-1", 42, "max_receives"),
        ("k-2", 42, "max_receives"),
    ]
    assert queue.depth().waiting == 0


def test_a_wait_ends_with_the_first_message_or_with_a_stop(database: Database) -> None:
    stop = Stop()
    queue = EmbeddedQueue(database, stop)
    threading.Timer(0.3, lambda: queue.send_batch([message("k-1")])).start()
    began = time.monotonic()
    assert len(queue.receive(10, wait_seconds=20)) == 1
    assert time.monotonic() - began < 3

    threading.Timer(0.3, stop.request, ["sigterm"]).start()
    assert queue.receive(10, wait_seconds=20) == []
    assert time.monotonic() - began < 6


def test_many_receivers_get_each_message_once(database: Database, tmp_path: Path) -> None:
    queue = EmbeddedQueue(database, Stop())
    queue.send_batch([message(f"k-{number}") for number in range(100)])
    taken: list[str] = []

    def receive() -> None:
        other = EmbeddedQueue(database, Stop())
        while receipts := take(other):
            taken.extend(receipts)
            other.delete_batch(receipts)

    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(taken) == len(set(taken)) == 100
    assert queue.depth().in_flight == queue.depth().waiting == 0
