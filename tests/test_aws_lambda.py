"""The Lambda handler: what its answer does not name is deleted, so it names all that is not committed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from pondctl import aws_lambda
from pondctl.errors import ConfigurationError
from pondctl.sandbox import Fault, FaultKind
from tests.acceptance.test_queue_moto import called, policy_in_readme
from tests.queue_world import NO_FLAG, QueueWorld, entry, plain
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, World

A, B = ICCIDS[:2]
Invoke = Callable[..., list[str]]


@dataclass
class Clock:
    """What Lambda says of the time that is left."""

    ends_at: float

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends_at - time.monotonic()) * 1000)


@pytest.fixture
def queue(world: World, sqs: SqsServer) -> QueueWorld:
    world.account_is_large()
    return QueueWorld(world, sqs)


@pytest.fixture
def invoke(queue: QueueWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Call the handler; returns the ids that shall come again."""
    for name, value in (queue.world.settings | queue.settings).items():
        monkeypatch.setenv(name, value)

    def call(*records: Mapping[str, Any], seconds: float = 900) -> list[str]:
        answer = aws_lambda.handler({"Records": list(records)}, Clock(time.monotonic() + seconds))
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    yield call
    aws_lambda.close()


def record(name: str, bulk: object, body: str = "Not used", group: str = "", **attributes: object) -> Any:
    """A message as the event source hands it over."""
    given = entry(bulk, body, **attributes)["MessageAttributes"]
    system = {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))}
    return {
        "messageId": name,
        "receiptHandle": f"r-{name}",
        "body": body,
        "attributes": system | ({"MessageGroupId": group} if group else {}),
        "messageAttributes": {
            key: {"stringValue": value["StringValue"], "dataType": "String"} for key, value in given.items()
        },
        "eventSource": "aws:sqs",
    }


def active(queue: QueueWorld, *iccids: str) -> int:
    for number, iccid in enumerate(iccids):
        queue.world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    return queue.world.given(*iccids)


def test_a_batch_is_worked_off(queue: QueueWorld, invoke: Invoke) -> None:
    bulks = [active(queue, iccid) for iccid in ICCIDS[:10]]

    assert invoke(*(record(f"m-{bulk}", bulk) for bulk in bulks)) == []
    assert {queue.world.header(bulk)["Status"] for bulk in bulks} == {"PROCESSED"}


def test_the_next_check_is_sent_before_the_answer(queue: QueueWorld, invoke: Invoke) -> None:
    queue.world.thingspace.add(A, state="pending activation")
    bulk = queue.world.given(A)

    assert invoke(record("m-1", bulk, RetryNumber=1)) == []
    assert [plain(message)["RetryNumber"] for message in queue.messages] == ["2"]


def test_only_what_failed_comes_again(queue: QueueWorld, invoke: Invoke) -> None:
    bulk = active(queue, A)

    again = invoke(record("good", bulk), record("theirs", bulk, **NO_FLAG), record("poison", "x"))

    assert again == ["theirs"]
    assert len(queue.letters()) == 1


def test_a_message_delivered_again_has_no_second_effect(queue: QueueWorld, invoke: Invoke) -> None:
    queue.world.thingspace.add(A, state="pending activation")
    bulk = queue.world.given(A)
    invoke(record("m-1", bulk, RetryNumber=1))

    assert invoke(record("m-1", bulk, RetryNumber=1)) == []
    assert len(queue.messages) == 1


def test_with_a_minute_left_no_device_is_begun_and_the_rest_is_queued(
    queue: QueueWorld, invoke: Invoke
) -> None:
    """Today the function is killed in the middle of its list (defect 28)."""
    first, second = active(queue, *ICCIDS), active(queue, A)
    queue.world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, 1.0))
    invoke()  # a cold start takes its time, too
    began = time.monotonic()

    again = invoke(record("m-1", first, RetryNumber=3), record("m-2", second, RetryNumber=5), seconds=62)

    assert again == []
    assert time.monotonic() - began < 20
    done = sum(bool(row["MSISDN"]) for row in queue.world.rows(first))
    assert 0 < done < len(ICCIDS)
    assert sorted(plain(message)["RetryNumber"] for message in queue.messages) == ["3", "5"]
    assert [row["MSISDN"] for row in queue.world.rows(second)] == [None]


def test_without_a_minute_nothing_is_begun_at_all(queue: QueueWorld, invoke: Invoke) -> None:
    bulk = active(queue, A)

    assert invoke(record("m-1", bulk, RetryNumber=3), seconds=59) == []
    assert queue.world.calls("thingspace.lookup") == 0
    assert [plain(message)["RetryNumber"] for message in queue.messages] == ["3"]


def test_in_a_fifo_queue_a_failure_holds_back_its_group_alone(queue: QueueWorld, invoke: Invoke) -> None:
    bulk, other = active(queue, A), active(queue, B)

    again = invoke(
        record("a-1", bulk, group="a", **NO_FLAG),
        record("a-2", bulk, group="a"),
        record("b-1", other, group="b"),
    )

    assert again == ["a-1", "a-2"]


def test_refused_credentials_leave_all_messages(queue: QueueWorld, invoke: Invoke, monkeypatch: Any) -> None:
    monkeypatch.setenv("PONDCTL_THINGSPACE__PASSWORD", "wrong")
    bulks = [active(queue, iccid) for iccid in ICCIDS[:3]]

    assert len(invoke(*(record(f"m-{bulk}", bulk) for bulk in bulks))) == 3
    assert queue.world.calls("thingspace.login") == 1


@pytest.mark.parametrize("whole", [True, False], ids=["no answer", "refused among others"])
def test_what_the_outbox_could_not_send_brings_its_messages_back(
    queue: QueueWorld, invoke: Invoke, whole: bool
) -> None:
    queue.world.thingspace.add(A, state="pending activation")
    bulk = queue.world.given(A)
    if whole:
        queue.sqs.fail("SendMessageBatch", "com.amazonaws.sqs#ServiceUnavailable", status=503, times=3)
    else:
        queue.sqs.refuse_entry = lambda action, entry: action == "SendMessageBatch"

    assert invoke(record("m-1", bulk)) == ["m-1"]
    assert queue.messages == []
    queue.sqs.refuse_entry = lambda action, entry: False
    message = queue.world.own_name("message")
    queue.world.execute(f"UPDATE {message} SET visible_at = created_at")  # the pause before the next try
    assert invoke(record("m-1", bulk)) == []
    assert len(queue.messages) == 1


def test_the_embedded_queue_is_no_place_for_its_checks(
    queue: QueueWorld, invoke: Invoke, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PONDCTL_QUEUE__URL", "database")

    with pytest.raises(ConfigurationError, match="SQS"):
        invoke(record("m-1", active(queue, A)))


SNS = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "x"}}]}


@pytest.mark.parametrize("event", [[], None, {"Records": None}, {"Records": ["x"]}, SNS])
def test_a_trigger_that_is_no_queue_is_named(queue: QueueWorld, invoke: Invoke, event: Any) -> None:
    with pytest.raises(ConfigurationError, match="no batch of SQS messages"):
        aws_lambda.handler(event, Clock(time.monotonic() + 900))


def test_an_answer_is_plain_json(queue: QueueWorld, invoke: Invoke) -> None:
    answer = aws_lambda.handler({"Records": []}, Clock(time.monotonic() + 900))

    assert json.loads(json.dumps(answer)) == {"batchItemFailures": []}


def test_the_documented_policy_is_what_the_handler_really_calls(
    world: World, sqs: SqsServer, monkeypatch: Any
) -> None:
    queue = QueueWorld(world, sqs, "bulk-change")
    foreign = sqs.create("foreign")
    settings = world.settings | queue.settings | {"PONDCTL_QUEUE__FOREIGN_URL": foreign}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    world.thingspace.add(A, state="pending activation")
    records = [record("m-1", world.given(A)), record("m-2", world.given(A), **NO_FLAG)]

    aws_lambda.handler({"Records": records}, Clock(time.monotonic() + 900))
    aws_lambda.close()

    event_source = {
        (f"sqs:{action}", "bulk-change")
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    }
    assert called(sqs) | event_source == policy_in_readme("handler")
