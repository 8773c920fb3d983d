"""Whatever a run comes to, its message is deleted only after something committed took its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import pytest

from pondctl.clients.queue import ReceivedMessage
from pondctl.db.database import Database
from pondctl.errors import (
    AuthenticationError,
    BusyError,
    CarrierUnavailableError,
    ConfigurationError,
    DatabaseUnavailableError,
    NotFoundError,
    PermissionDeniedError,
    RunLostError,
    SchemaError,
    TerminatedRunError,
    UsageError,
)
from pondctl.models import RunResult, Stop
from pondctl.services.queueing.dispatch import Rules, Way
from pondctl.services.queueing.handling import Handling
from pondctl.services.queueing.tasks import Handled, Task
from pondctl.services.running.run_log import RunLog
from tests.world import ICCIDS, World

QUEUE = "https://sqs.example/1/q"


@pytest.fixture
def database(world: World) -> Iterator[Database]:
    with closing(Database.open(world.url)) as database:
        yield database


def handle(database: Database, bulk: int, error: Exception | None, body: str = "Not used") -> Handled:
    """One message through a run that ends with this error."""

    def run(task: Task, stop: Stop, report: RunLog) -> RunResult:
        if error is not None:
            raise error
        return RunResult("sync-bulk", "r", {})

    handling = Handling(database, {Way.SYNC: run}, Rules(), queue_name=QUEUE, foreign=None)
    attributes = {"BulkChangeId": str(bulk), "IsRetryNewActivateThingSpaceDevice": "True"}
    received = ReceivedMessage("m-1", "r-1", attributes, body, 1, datetime(2026, 11, 23))
    [task] = handling.look_at([received])
    return handling.handle(task, Stop())


def waiting(world: World, bulk: int) -> list[str]:
    return [row["message_key"] for row in world.messages(bulk) if row["state"] == "waiting"]


@pytest.mark.parametrize("error", [BusyError("held"), RunLostError("lost")])
def test_a_copy_takes_the_place_of_what_is_busy(world: World, database: Database, error: Exception) -> None:
    bulk = world.given(ICCIDS[0])

    assert handle(database, bulk, error).delete
    assert waiting(world, bulk) == ["m-1"]


@pytest.mark.parametrize("error", [NotFoundError("deleted"), UsageError("nothing to do with it")])
def test_the_same_permanent_failure_would_come_again(
    world: World, database: Database, error: Exception
) -> None:
    bulk = world.given(ICCIDS[0])

    handled = handle(database, bulk, error)

    assert (handled.delete, handled.dead, handled.ends) == (True, True, None)
    assert [letter["reason"] for letter in world.own("dead_letter")] == [str(error)]


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("no"), PermissionDeniedError("no"), ConfigurationError("no"), SchemaError("no")],
)
def test_what_would_fail_the_next_one_too_ends_the_worker(
    world: World, database: Database, error: Exception
) -> None:
    handled = handle(database, world.given(ICCIDS[0]), error)

    assert (handled.delete, handled.ends) == (False, error)
    assert world.own("dead_letter") == []


@pytest.mark.parametrize("error", [CarrierUnavailableError("away"), DatabaseUnavailableError("away")])
def test_a_run_that_could_not_queue_its_check_keeps_its_message(
    world: World, database: Database, error: Exception
) -> None:
    handled = handle(database, world.given(ICCIDS[0]), error)

    assert (handled.delete, handled.ends) == (False, None)
    assert handled.back_in_seconds > 0


def test_a_stop_gives_the_message_back_at_once(world: World, database: Database) -> None:
    handled = handle(database, world.given(ICCIDS[0]), TerminatedRunError("stopped"))

    assert (handled.delete, handled.back_in_seconds) == (False, 0)


def test_a_bug_is_tried_once_more_and_then_it_is_the_messages_last(world: World, database: Database) -> None:
    bulk = world.given(ICCIDS[0])
    body = '{"pondctl": {"key": "k-1"}}'

    first = handle(database, bulk, KeyError("x"), body)
    other = handle(database, bulk, ValueError("y"), body)
    world.execute(f"UPDATE {world.own_name('message')} SET state = 'sent'")
    same = handle(database, bulk, KeyError("x"), body)

    assert (first.word, first.delete, first.dead) == ("failed", True, False)
    assert (other.word, other.dead) == ("failed", False)
    assert (same.word, same.dead) == ("dead", True)
    assert [letter["reason"] for letter in world.own("dead_letter")] == [
        "failed twice in the same way: KeyError"
    ]
