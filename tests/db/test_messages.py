from __future__ import annotations

import threading
from collections import Counter

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.dialects import utc_in
from pondctl.db.records import NewMessage, QueueMessage

QUEUE = "database"


def put(database: Database, key: str, **other: object) -> int:
    fields = {
        "queue": QUEUE,
        "attributes": {"BulkChangeId": "42"},
        "body": "b",
        "bulk_change_id": 42,
        **other,
    }
    return database.write(lambda unit: unit.messages.add(NewMessage(key=key, **fields)))


def receive(
    database: Database, limit: int = 10, seconds: float = 60, queue: str = QUEUE
) -> list[QueueMessage]:
    return database.write(lambda unit: unit.messages.receive(queue, limit, seconds))


def let_visibility_end(database: Database) -> None:
    table = database.own_tables.message
    update = sa.update(table).where(table.c.state == "in_flight").values(visible_at=utc_in(-1))
    database.write(lambda unit: unit.state.execute(update).close())


def test_a_message_comes_out_as_it_went_in(database: Database) -> None:
    put(database, "a", retry_number=3, lineage="before")

    (message,) = receive(database)

    assert (message.key, message.attributes, message.body) == ("a", {"BulkChangeId": "42"}, "b")
    assert (message.bulk_change_id, message.retry_number, message.lineage) == (42, 3, "before")
    assert (message.state, message.receive_count) == ("in_flight", 1)
    assert message.receipt
    assert receive(database) == []


def test_a_key_goes_in_once(database: Database) -> None:
    assert put(database, "a") == put(database, "a", body="another")
    assert [message.body for message in receive(database)] == ["b"]


def test_a_delayed_message_is_not_due_before_its_time(database: Database) -> None:
    put(database, "late", delay_seconds=5000)
    put(database, "now")

    assert [message.key for message in receive(database)] == ["now"]
    (late,) = [m for m in database.read(lambda unit: unit.messages.waiting_for(42)) if m.key == "late"]
    assert late.seconds_until_due == pytest.approx(5000, abs=30)


def test_a_message_that_nobody_finished_comes_again(database: Database) -> None:
    put(database, "a")
    (first,) = receive(database)
    let_visibility_end(database)

    (second,) = receive(database)

    assert second.receive_count == 2
    for late in ("delete", "release"):
        assert not database.write(lambda unit, late=late: getattr(unit.messages, late)(first))
    assert not database.write(lambda unit: unit.messages.extend(first, 60))
    assert database.write(lambda unit: unit.messages.delete(second))
    assert receive(database) == []


def test_a_message_in_hand_can_be_kept_or_given_back(database: Database) -> None:
    put(database, "a")
    (message,) = receive(database, seconds=0)
    assert database.write(lambda unit: unit.messages.extend(message, 60))
    assert receive(database) == []

    assert database.write(lambda unit: unit.messages.release(message))

    (again,) = receive(database)
    assert database.write(lambda unit: unit.messages.release(again, 600))
    assert receive(database) == []


def test_a_message_without_a_receipt_is_in_nobodys_hand(database: Database) -> None:
    put(database, "a")
    (message,) = database.read(lambda unit: unit.messages.list_queued(QUEUE))

    assert not database.write(lambda unit: unit.messages.delete(message))


def test_queues_do_not_mix(database: Database) -> None:
    put(database, "a", queue="https://sqs.example/queue")

    assert receive(database) == []
    assert [message.key for message in receive(database, queue="https://sqs.example/queue")] == ["a"]


def test_the_outbox_keeps_what_was_sent_and_why_it_was_not(database: Database) -> None:
    put(database, "a")
    (message,) = receive(database)
    assert database.write(lambda unit: unit.messages.note_error(message, "throttled", 0))
    (message,) = receive(database)

    assert database.write(lambda unit: unit.messages.mark_sent(message, "sqs-id"))

    assert receive(database) == []
    sent = database.read(lambda unit: unit.messages.find("a"))
    assert sent is not None
    assert sent.state == "sent"
    assert database.write(lambda unit: unit.messages.close("a"))
    assert not database.write(lambda unit: unit.messages.close("a"))


def test_waiting_checks_are_those_still_to_come(database: Database) -> None:
    put(database, "waiting", delay_seconds=600)
    put(database, "in hand")
    put(database, "other", bulk_change_id=43)
    receive(database, limit=1)
    put(database, "sent, not due", queue="sqs", delay_seconds=0)
    (sent,) = receive(database, queue="sqs")
    database.write(lambda unit: unit.messages.mark_sent(sent, "sqs-id"))

    def keys() -> set[str]:
        return {message.key for message in database.read(lambda unit: unit.messages.waiting_for(42))}

    assert keys() == {"waiting", "in hand"}
    assert database.write(lambda unit: unit.messages.cancel_for(42)) == 1
    assert keys() == {"in hand"}


def test_a_sent_check_waits_until_it_is_due(database: Database) -> None:
    put(database, "a", queue="sqs", delay_seconds=600)
    table = database.own_tables.message
    taken = sa.update(table).values(state="sent")
    database.write(lambda unit: unit.state.execute(taken).close())

    assert [m.key for m in database.read(lambda unit: unit.messages.waiting_for(42))] == ["a"]


def test_depth_tells_what_waits_what_is_late_and_what_is_in_hand(database: Database) -> None:
    empty = database.read(lambda unit: unit.messages.depth(QUEUE))
    assert (empty.waiting, empty.delayed, empty.in_flight, empty.oldest_age_seconds) == (0, 0, 0, None)
    for key in ("a", "b", "c"):
        put(database, key)
    put(database, "late", delay_seconds=600)
    receive(database, limit=1)

    depth = database.read(lambda unit: unit.messages.depth(QUEUE))

    assert (depth.waiting, depth.delayed, depth.in_flight) == (2, 1, 1)
    assert depth.oldest_age_seconds == pytest.approx(0, abs=30)


def test_no_message_is_in_two_hands(database: Database) -> None:
    for n in range(120):
        put(database, f"m{n}")
    seen: Counter[str] = Counter()
    start = threading.Barrier(8)

    def consume() -> None:
        start.wait()
        while messages := receive(database, limit=3):
            seen.update(message.key for message in messages)
            for message in messages:
                assert database.write(lambda unit, message=message: unit.messages.delete(message))

    threads = [threading.Thread(target=consume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 120
    assert set(seen.values()) == {1}
