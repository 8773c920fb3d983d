from __future__ import annotations

from dataclasses import replace

import pytest

from pondctl.db.database import Database
from pondctl.db.records import DeadLetter, DeadLetterFilter, NewDeadLetter
from pondctl.errors import NotFoundError

NEW = NewDeadLetter(
    key="sqs:1",
    source_queue="https://sqs.example/queue",
    body="free text",
    attributes={"BulkChangeId": "42"},
    category="not_found",
    reason="bulk change 42 does not exist",
    source_message_id="1",
    bulk_change_id=42,
    retry_number=2,
    receive_count=3,
    attempts=({"at": "2026-11-23T10:00:00", "error": "not there"},),
    expires_in_seconds=3600,
)


def put(database: Database, key: str, **other: object) -> DeadLetter:
    new = replace(NEW, key=key, **other)
    assert database.write(lambda unit: unit.dead_letters.add(new))
    found = database.read(lambda unit: unit.dead_letters.find(key))
    assert found is not None
    return found


def keys(database: Database, **which: object) -> list[str]:
    found = database.read(lambda unit: unit.dead_letters.list_matching(DeadLetterFilter(**which)))
    assert len(found) == database.read(lambda unit: unit.dead_letters.count(DeadLetterFilter(**which)))
    return [letter.key for letter in found]


def test_a_letter_comes_back_as_it_was_taken_in(database: Database) -> None:
    letter = put(database, "sqs:1")

    assert letter == database.read(lambda unit: unit.dead_letters.get(letter.id))
    assert (letter.state, letter.requeue_count, letter.changed_by) == ("open", 0, None)
    assert letter.attempts == NEW.attempts
    assert letter.attributes == NEW.attributes
    assert letter.expires_at is not None
    assert (letter.expires_at - letter.created_at).total_seconds() == pytest.approx(3600, abs=1)


def test_a_letter_that_is_there_already_stays_as_it_is(database: Database) -> None:
    put(database, "sqs:1")

    assert not database.write(lambda unit: unit.dead_letters.add(replace(NEW, reason="another")))

    assert keys(database, text="another") == []


def test_letters_can_be_narrowed(database: Database) -> None:
    put(database, "a")
    put(database, "b", category="retries_exhausted", bulk_change_id=43, reason="100% late")
    put(database, "c", source_queue="database", bulk_change_id=None)

    assert keys(database) == ["a", "b", "c"]
    assert keys(database, category="retries_exhausted") == ["b"]
    assert keys(database, bulk_change_id=42) == ["a"]
    assert keys(database, source_queue="database") == ["c"]
    assert keys(database, text="100%") == ["b"], "a sign of SQL in the text is itself"
    assert keys(database, within_seconds=600) == ["a", "b", "c"]
    assert keys(database, within_seconds=-600) == []
    assert database.read(lambda unit: unit.dead_letters.count_by_category()) == {
        "not_found": 2,
        "retries_exhausted": 1,
    }


def test_letters_are_paged(database: Database) -> None:
    first = put(database, "a")
    put(database, "b")

    rest = database.read(
        lambda unit: unit.dead_letters.list_matching(DeadLetterFilter(), after_id=first.id, limit=5)
    )

    assert [letter.key for letter in rest] == ["b"]


def test_of_two_who_move_a_letter_one_does(database: Database) -> None:
    letter = put(database, "a")

    def move(state: str, source: str = "open") -> bool:
        return database.write(
            lambda unit: unit.dead_letters.mark(letter.id, state, from_state=source, by="ann", reason="fixed")
        )

    assert move("requeued")
    assert not move("discarded")
    assert move("open", "requeued")
    after = database.read(lambda unit: unit.dead_letters.get(letter.id))
    assert (after.state, after.requeue_count, after.changed_by, after.change_reason) == (
        "open",
        1,
        "ann",
        "fixed",
    )


def test_the_oldest_open_letter_tells_its_age(database: Database) -> None:
    assert database.read(lambda unit: unit.dead_letters.oldest_age_seconds()) is None
    put(database, "a")
    assert database.read(lambda unit: unit.dead_letters.oldest_age_seconds()) == pytest.approx(0, abs=30)


def test_an_unknown_letter_is_named(database: Database) -> None:
    with pytest.raises(NotFoundError, match="12345"):
        database.read(lambda unit: unit.dead_letters.get(12345))
