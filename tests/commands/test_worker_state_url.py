"""`worker` where pondctl's own tables live elsewhere: two commits, and a kill may come between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.queue_world import QueueWorld, plain
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, World

A = ICCIDS[0]


@pytest.fixture
def queue(world: World, sqs: SqsServer, tmp_path: Path) -> QueueWorld:
    built = QueueWorld(world, sqs)
    built.settings["PONDCTL_DATABASE__STATE_URL"] = f"sqlite:///{tmp_path}/own.db"
    assert world.run("db", "upgrade", **built.settings).exit_code == 0
    return built


class Killed(BaseException):
    """What stands for the kill."""


@contextmanager
def killed_before_the_host_has(status: str) -> Iterator[None]:
    """The first transaction that gives a header this status never commits."""
    about_to: set[sa.Connection] = set()

    def note(connection: sa.Connection, _cursor: object, statement: str, given: object, *_: object) -> None:
        if statement.startswith(('UPDATE "BulkChange"', "UPDATE [BulkChange]")) and status in str(given):
            about_to.add(connection)

    def commit(connection: sa.Connection) -> None:
        if connection in about_to:
            about_to.clear()
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
            raise Killed

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    sa.event.listen(sa.Engine, "commit", commit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "commit", commit)


@pytest.mark.parametrize(("state", "status"), [("active", "PROCESSED"), ("pending activation", "PROCESSING")])
def test_killed_between_both_commits_the_next_delivery_finishes_it(
    queue: QueueWorld, state: str, status: str
) -> None:
    queue.world.thingspace.add(A, state=state, msisdn="12015550123" if state == "active" else None)
    bulk = queue.world.given(A)
    queue.put(bulk, RetryNumber=1)

    with killed_before_the_host_has(status):
        assert queue.work().exit_code == 1
    assert queue.world.header(bulk)["Status"] == "NEW"
    queue.sqs.queue(queue.url).show_all()
    assert queue.work().exit_code == 0

    assert queue.world.header(bulk)["Status"] == status
    assert [plain(check)["RetryNumber"] for check in queue.messages] == ([] if state == "active" else ["2"])


@pytest.mark.parametrize("apart", [True, False], ids=["own tables elsewhere", "own tables beside"])
def test_killed_between_giving_up_and_closing_the_header_the_next_delivery_closes_it_in_error(
    world: World, sqs: SqsServer, tmp_path: Path, apart: bool
) -> None:
    queue = QueueWorld(world, sqs)
    if apart:
        queue.settings["PONDCTL_DATABASE__STATE_URL"] = f"sqlite:///{tmp_path}/own.db"
        assert world.run("db", "upgrade", **queue.settings).exit_code == 0
    world.thingspace.add(A, state="pending activation")
    bulk = world.given(A)
    body = json.dumps({"pondctl": {"key": "k-1", "pending_since": "2026-11-01T00:00:00Z"}})
    queue.put(bulk, body, RetryNumber=95)

    with killed_before_the_host_has("ERROR"):
        assert queue.work().exit_code == 1
    assert world.header(bulk)["Status"] == "NEW"
    assert world.rows(bulk)[0]["Status"] == "API_FAILED"
    queue.sqs.queue(queue.url).show_all()
    assert queue.work().exit_code in (0, 3)

    assert world.header(bulk)["Status"] == "ERROR"
    listed = world.run("dead-letter", "list", "-o", "json", **queue.settings).json
    assert [letter["category"] for letter in listed] == ["retries_exhausted"]
    assert queue.messages == []
