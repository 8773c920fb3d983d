"""The outbox: sent is what the queue confirmed, also with several senders, half answers and kills."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pondctl.clients.sqs import SqsQueue
from pondctl.db.database import Database
from pondctl.db.records import DeadLetterFilter, NewMessage
from pondctl.errors import PermissionDeniedError, QueueUnavailableError
from pondctl.services.queueing.outbox import Outbox
from tests.sqs_queue import Stored
from tests.sqs_server import SqsServer
from tests.world import World


@pytest.fixture
def database(world: World) -> Iterator[Database]:
    with closing(Database.open(world.url)) as database:
        yield database


def outbox(database: Database, url: str) -> Outbox:
    return Outbox(database, SqsQueue(url), url)


def add(database: Database, url: str, *keys: str, delay: float = 0, attributes: int = 1) -> None:
    flags = {f"A{number}": "x" for number in range(attributes)}

    def work(unit: object) -> None:
        for key in keys:
            unit.messages.add(NewMessage(key, url, flags, "body", 42, delay_seconds=delay))  # type: ignore[attr-defined]

    database.write(work)


def stored(sqs: SqsServer, url: str) -> list[Stored]:
    return list(sqs.queue(url).messages.values())


def states(world: World) -> list[str]:
    return [row["state"] for row in sorted(world.own("message"), key=lambda row: row["id"])]


def test_what_is_due_is_sent_and_marked(world: World, sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q")
    add(database, url, *(f"k-{number}" for number in range(25)))

    assert outbox(database, url).flush() == 25

    assert len(stored(sqs, url)) == 25
    assert set(states(world)) == {"sent"}
    assert outbox(database, url).flush() == 0


def test_a_standard_queue_holds_a_message_back_itself(sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q")
    add(database, url, "k-1", delay=300)
    add(database, url, "k-2", delay=86_400)

    assert outbox(database, url).flush() == 2

    first, second = (message.visible_at - time.monotonic() for message in stored(sqs, url))
    assert 290 < first <= 300
    assert 890 < second <= 900


def test_for_a_fifo_queue_it_is_held_here(world: World, sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q.fifo")
    add(database, url, "k-1", delay=1)

    assert outbox(database, url).flush() == 0
    time.sleep(1.1)
    assert outbox(database, url).flush() == 1
    assert [message.group for message in stored(sqs, url)] == ["42"]


def test_half_an_answer_marks_half_a_batch(world: World, sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q")
    add(database, url, *(f"k-{number}" for number in range(10)))
    sqs.refuse_entry = lambda action, entry: int(entry["Id"]) % 2 == 1

    assert outbox(database, url).flush() == 5
    assert states(world) == ["sent", "waiting"] * 5


def test_an_error_leaves_everything_in_the_outbox(world: World, sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q")
    add(database, url, "k-1")
    sqs.fail("SendMessageBatch", "com.amazonaws.sqs#ServiceUnavailable", status=503, times=3)

    with pytest.raises(QueueUnavailableError):
        outbox(database, url).flush()

    assert states(world) == ["waiting"]
    assert stored(sqs, url) == []


def test_a_refusal_says_so(world: World, sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q")
    add(database, url, "k-1")
    sqs.denied.add("SendMessageBatch")

    with pytest.raises(PermissionDeniedError):
        outbox(database, url).require_sent(42)

    assert states(world) == ["waiting"]


def test_trouble_with_other_messages_is_not_this_ones(
    world: World, sqs: SqsServer, database: Database
) -> None:
    url = sqs.create("q")
    add(database, url, "k-1")
    sqs.fail("SendMessageBatch", "com.amazonaws.sqs#ServiceUnavailable", status=503, times=3)

    outbox(database, url).require_sent(4711)

    assert states(world) == ["waiting"]


def test_what_the_queue_will_never_take_becomes_a_dead_letter(
    world: World, sqs: SqsServer, database: Database
) -> None:
    url = sqs.create("q")
    add(database, url, "k-1", attributes=11)
    for _ in range(3):
        outbox(database, url).flush()
        world.execute(f"UPDATE {world.own_name('message')} SET visible_at = created_at")

    letters = database.read(lambda unit: unit.dead_letters.list_matching(DeadLetterFilter()))
    assert [(letter.key, letter.category) for letter in letters] == [("k-1", "not_sent")]
    assert states(world) == ["done"]


def test_a_sender_that_died_is_followed_by_another(world: World, sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q")
    add(database, url, "k-1")
    database.write(lambda unit: unit.messages.receive(url, 10, 1, ahead=True))

    assert outbox(database, url).flush() == 0
    time.sleep(1.1)
    assert outbox(database, url).flush() == 1


def test_many_senders_send_each_message_once(sqs: SqsServer, database: Database) -> None:
    url = sqs.create("q")
    add(database, url, *(f"k-{number}" for number in range(60)))

    threads = [threading.Thread(target=outbox(database, url).flush) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(stored(sqs, url)) == 60


def test_a_repeated_send_has_one_name_and_a_later_copy_another(
    world: World, sqs: SqsServer, database: Database
) -> None:
    url = sqs.create("q.fifo")
    add(database, url, "k-1")
    [message] = database.write(lambda unit: unit.messages.receive(url, 10, 0))
    sending = outbox(database, url)
    sending.flush()
    world.execute(f"UPDATE {world.own_name('message')} SET state = 'waiting', visible_at = created_at")
    sending.flush()
    assert len(stored(sqs, url)) == 1

    copy = NewMessage("k-1", url, {"A0": "x"}, "body", 42)
    database.write(lambda unit: unit.deliveries.put_back(copy))
    sending.flush()
    assert len(stored(sqs, url)) == 2
    assert message.key == "k-1"
