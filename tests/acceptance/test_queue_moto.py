"""The worker against moto's SQS, which is not ours, and the permissions it needs, as the README has them."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pondctl.clients._aws import connect
from tests.queue_world import FLAG, NO_FLAG, QueueWorld, text
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, Result, World

A = ICCIDS[0]
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    # It runs within this process: what it logs would stand among what the program logs.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Moto:
    """One queue at moto, with a dead-letter queue behind it."""

    def __init__(self, world: World, server: str, suffix: str = "") -> None:
        self.world = world
        self.client = connect(f"{server}/x/y")
        self.fifo = bool(suffix)
        options: dict[Any, str] = {"FifoQueue": "true"} if suffix else {}
        name = uuid.uuid4().hex
        self.dead = self.client.create_queue(QueueName=f"d-{name}{suffix}", Attributes=options)["QueueUrl"]
        arn = self.client.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])["Attributes"]
        redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": "3"}
        options = options | {"RedrivePolicy": json.dumps(redrive)}
        self.url = self.client.create_queue(QueueName=f"q-{name}{suffix}", Attributes=options)["QueueUrl"]

    def put(self, bulk: int, **attributes: str) -> None:
        given = {"BulkChangeId": str(bulk), **FLAG, **attributes}
        group = {"MessageGroupId": str(bulk), "MessageDeduplicationId": uuid.uuid4().hex} if self.fifo else {}
        self.client.send_message(
            QueueUrl=self.url,
            MessageBody="Not used",
            MessageAttributes={name: text(value) for name, value in given.items()},  # type: ignore[misc]
            **group,  # type: ignore[arg-type]
        )

    def work(self, **settings: str) -> Result:
        given = {"PONDCTL_QUEUE__URL": self.url, "PONDCTL_QUEUE__DEAD_LETTER_URL": self.dead}
        return self.world.run("worker", "--once", "-o", "json", **given | settings)

    def counts(self, url: str = "") -> tuple[int, int, int]:
        """Visible, delayed, in flight."""
        names = ("", "Delayed", "NotVisible")
        given = self.client.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=["All"])[
            "Attributes"
        ]
        visible, delayed, hidden = (int(given[f"ApproximateNumberOfMessages{name}"]) for name in names)  # type: ignore[index]
        return visible, delayed, hidden


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_a_bulk_change_is_followed_to_its_end(world: World, sqs: SqsServer, moto: str, suffix: str) -> None:
    queue = Moto(world, moto, suffix)
    with closing(queue.client):
        world.thingspace.add(A, state="active", msisdn="12015550123")
        bulk = world.given(A)
        queue.put(bulk, RetryNumber="1")

        result = queue.work()

        assert result.exit_code == 0, result.stderr
        assert result.json["run"] == 1
        assert world.header(bulk)["Status"] == "PROCESSED"
        assert queue.counts() == (0, 0, 0)


def test_a_poll_that_began_while_its_group_was_in_hand_does_not_end_it(
    world: World, sqs: SqsServer, moto: str
) -> None:
    queue = Moto(world, moto, ".fifo")
    with closing(queue.client):
        for number in range(6):
            queue.put(0, RequestId=str(number))

        result = queue.work()

        assert queue.counts() == (0, 0, 0)
        assert result.exit_code == 3, result.stderr
        assert result.json["dead_letters"] == 6


def test_the_next_check_waits_at_sqs(world: World, sqs: SqsServer, moto: str) -> None:
    queue = Moto(world, moto)
    with closing(queue.client):
        world.thingspace.add(A, state="pending activation")
        queue.put(world.given(A))

        assert queue.work().exit_code == 0
        assert queue.counts() == (0, 1, 0)


def test_foreign_messages_end_in_their_queue(world: World, sqs: SqsServer, moto: str) -> None:
    queue, theirs = Moto(world, moto), Moto(world, moto)
    with closing(queue.client), closing(theirs.client):
        queue.put(world.given(A), **NO_FLAG)

        assert queue.work(PONDCTL_QUEUE__FOREIGN_URL=theirs.url).exit_code == 0
        assert queue.counts() == (0, 0, 0)
        assert theirs.counts() == (1, 0, 0)


def policy_in_readme(role: str) -> set[tuple[str, str]]:
    """The SQS actions, each with its queue, of the policy that the README gives for a role."""
    section = README.read_text(encoding="utf-8").partition(f"`{role}` needs")[2]
    block = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert block, f"the README gives no policy for {role}"
    return {
        (action, statement["Resource"].rpartition(":")[2])
        for statement in json.loads(block[1])["Statement"]
        for action in statement["Action"]
    }


def called(sqs: SqsServer) -> set[tuple[str, str]]:
    """What was really called; a batch needs the permission of the single call."""
    return {(f"sqs:{action.removesuffix('Batch')}", queue) for action, queue in sqs.calls}


def test_the_documented_policy_is_what_a_worker_really_calls(world: World, sqs: SqsServer) -> None:
    queue = QueueWorld(world, sqs, "bulk-change")
    foreign, dead = sqs.create("foreign"), sqs.create("bulk-change-dead")
    world.thingspace.add(A, state="pending activation")
    queue.put(world.given(A), RetryNumber=1)
    queue.put(world.given(A), **NO_FLAG)
    sqs.queue(dead).send({"MessageBody": "x", "MessageAttributes": {}})
    settings = {"PONDCTL_QUEUE__FOREIGN_URL": foreign, "PONDCTL_QUEUE__DEAD_LETTER_URL": dead}

    assert queue.work(**settings).exit_code == 0
    queue.sqs.queue(foreign).messages.clear()
    queue.put(world.given(A), **NO_FLAG)
    assert queue.work().exit_code == 2  # gives a message back

    assert called(sqs) == policy_in_readme("worker")


def test_each_missing_permission_is_told_before_anything_is_received(world: World, sqs: SqsServer) -> None:
    world.thingspace.add(A, state="pending activation")
    queue = QueueWorld(world, sqs)
    queue.put(world.given(A), RetryNumber=1)
    actions = {action for action, name in policy_in_readme("worker") if name == "bulk-change"}
    assert len(actions) == 5
    for action in (each.removeprefix("sqs:") for each in actions):
        sqs.denied = {action, f"{action}Batch"}

        result = queue.work()

        assert result.exit_code == 4, (action, result.stderr)
        assert f"sqs:{action}" in result.stderr
        assert "AccessDenied" in result.stderr
    assert [message.receives for message in queue.messages] == [0]
    assert world.own("run") == []
