from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any

import pytest
from botocore.stub import Stubber

from pondctl.clients._aws import connect, region_of
from pondctl.clients.attributes import MAX_MESSAGE_BYTES
from pondctl.clients.message import next_check, parse
from pondctl.clients.queue import BatchResult, OutgoingMessage, Queue
from pondctl.clients.sqs import SqsQueue
from pondctl.errors import (
    ConfigurationError,
    PermissionDeniedError,
    PondctlError,
    QueueUnavailableError,
)

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/bulk-change"
CHECK = {"BulkChangeId": "42", "RetryNumber": "1", "IsRetryNewActivateThingSpaceDevice": "True"}


@pytest.fixture(autouse=True)
def _fake_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFAKE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "fake")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def sqs_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def make_queue(sqs_url: str, suffix: str = "", **attributes: str) -> SqsQueue:
    name = f"q-{uuid.uuid4()}{suffix}"
    if suffix:
        attributes["FifoQueue"] = "true"
    with closing(connect(f"{sqs_url}/x/{name}")) as client:
        url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]
    return SqsQueue(url)


@pytest.fixture
def queue(sqs_url: str) -> Iterator[SqsQueue]:
    with closing(make_queue(sqs_url)) as queue:
        yield queue


@pytest.fixture
def fifo(sqs_url: str) -> Iterator[SqsQueue]:
    with closing(make_queue(sqs_url, ".fifo")) as queue:
        yield queue


@pytest.fixture
def stubbed() -> Iterator[tuple[SqsQueue, Stubber]]:
    client = connect(URL)
    with Stubber(client) as stubber, closing(SqsQueue(URL, client=client)) as queue:
        yield queue, stubber


def message(key: str = "k", **changes: Any) -> OutgoingMessage:
    return OutgoingMessage(**{"key": key, "attributes": CHECK, "body": "Not used"} | changes)


def receipts_of(queue: Queue, limit: int = 10) -> list[str]:
    return [m.receipt for m in queue.receive(limit, wait_seconds=0, visibility_seconds=None)]


def test_attributes_in_the_format_of_the_existing_producer_come_back_unchanged(queue: SqsQueue) -> None:
    sent = CHECK | {"Weight:Number.int": "3", "Blob:Binary": "AP8=", "AdditionBulkChangeId": "7"}
    assert queue.send_batch([message(attributes=sent)]) == [BatchResult("k")]

    raw = queue.client.receive_message(
        QueueUrl=queue.url, MessageAttributeNames=["All"], VisibilityTimeout=0
    )["Messages"][0]["MessageAttributes"]
    (received,) = queue.receive(1, wait_seconds=0)

    assert raw["IsRetryNewActivateThingSpaceDevice"] == {"StringValue": "True", "DataType": "String"}
    assert raw["BulkChangeId"] == {"StringValue": "42", "DataType": "String"}
    assert raw["Blob"] == {"BinaryValue": b"\x00\xff", "DataType": "Binary"}
    assert received.attributes == sent
    assert received.body == "Not used"
    assert received.receive_count == 2
    assert received.source_arn is None
    assert received.sent_at is not None
    assert abs(received.sent_at - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)


def test_a_check_keeps_the_attributes_of_its_cause_over_the_queue(queue: SqsQueue) -> None:
    cause = parse(CHECK | {"RequestId": "r-1", "CarrierRatePool": "pool"}, "Not used")
    check = next_check(cause, 42, key="k1", stalled=1)

    queue.send_batch([OutgoingMessage("k1", check.attributes, check.body)])
    (received,) = queue.receive(1)

    assert parse(received.attributes, received.body) == check
    assert check.attributes == cause.attributes | {"RetryNumber": "2"}


def test_more_than_ten_messages_go_in_several_batches(queue: SqsQueue) -> None:
    results = queue.send_batch([message(f"k{n}", body=str(n)) for n in range(23)])

    assert [result.key for result in results if result.ok] == [f"k{n}" for n in range(23)]
    assert queue.depth().waiting == 23
    received = [m for _ in range(3) for m in queue.receive(50, wait_seconds=0)]
    assert {m.body for m in received} == {str(n) for n in range(23)}
    assert all(result.ok for result in queue.delete_batch([m.receipt for m in received]))
    assert queue.depth().in_flight == 0


def test_batches_stay_within_the_bytes_that_sqs_takes_at_once(stubbed: tuple[SqsQueue, Stubber]) -> None:
    queue, stubber = stubbed
    sizes = []

    def note(params: dict[str, Any], **_: object) -> None:
        sizes.append([len(entry["MessageBody"]) for entry in params["Entries"]])

    queue.client.meta.events.register("provide-client-params.sqs.SendMessageBatch", note)
    for _ in range(2):
        stubber.add_response("send_message_batch", {"Successful": [], "Failed": []})
    half = "x" * (MAX_MESSAGE_BYTES // 2 - 200)

    queue.send_batch([message(str(n), body=half) for n in range(3)])

    assert [len(batch) for batch in sizes] == [2, 1]


def test_a_message_that_sqs_would_refuse_does_not_spoil_the_others(queue: SqsQueue) -> None:
    results = queue.send_batch(
        [
            message("ok-1"),
            message("control", body="a\x01b"),
            message("empty", body=""),
            message("long", body="x" * MAX_MESSAGE_BYTES),
            message("half-a-pair", body="\ud800"),
            message("eleven", attributes={f"a{n}": "1" for n in range(11)}),
            message("no-name", attributes={"a b": "1"}),
            message("no-value", attributes={"RequestId": ""}),
            message("reserved", attributes={"AWS.x": "1"}),
            message("no-base64", attributes={"b:Binary": "%%"}),
            message("ok-2"),
        ]
    )

    assert [result.key for result in results if result.ok] == ["ok-1", "ok-2"]
    assert all(result.permanent for result in results if not result.ok)
    assert results[1].error == "body: has a character that SQS does not take"
    assert queue.depth().waiting == 2


def test_a_long_poll_ends_as_soon_as_a_message_comes(queue: SqsQueue) -> None:
    sender = threading.Timer(0.5, queue.send_batch, [[message()]])
    sender.start()
    started = time.monotonic()

    received = queue.receive(10, wait_seconds=10)

    assert len(received) == 1
    assert time.monotonic() - started < 8
    sender.join()


def test_a_message_in_hand_is_hidden_until_it_is_given_back(queue: SqsQueue) -> None:
    queue.send_batch([message()])
    (receipt,) = receipts_of(queue)
    assert receipts_of(queue) == []

    assert queue.change_visibility_batch([receipt], 0) == [BatchResult(receipt)]

    (again,) = queue.receive(1, wait_seconds=0, visibility_seconds=120)
    assert again.receive_count == 2
    assert queue.depth().in_flight == 1


def test_a_receipt_that_is_none_fails_alone(queue: SqsQueue) -> None:
    queue.send_batch([message()])
    (receipt,) = receipts_of(queue)

    changed = queue.change_visibility_batch(["no receipt", receipt], 60)
    deleted = queue.delete_batch(["no receipt", receipt])

    for results in (changed, deleted):
        assert [result.ok for result in results] == [False, True]
        assert results[0].error == "ReceiptHandleIsInvalid"
        assert results[0].permanent
    assert queue.depth().in_flight == 0


def test_a_delay_is_never_above_what_sqs_knows(queue: SqsQueue) -> None:
    queue.send_batch([message("a", delay_seconds=5000), message("b", delay_seconds=-1)])

    depth = queue.depth()
    assert (depth.waiting, depth.delayed, depth.oldest_age_seconds) == (1, 1, None)
    assert queue.longest_delay_seconds == 900


def test_a_fifo_queue_keeps_the_order_of_a_bulk_change_and_drops_a_key_sent_twice(fifo: SqsQueue) -> None:
    sent = [
        message("a", body="1", group="42"),
        message("b", body="2", group="42", delay_seconds=60),
        message("a", body="1", group="42"),
        message("c", body="3"),
    ]

    assert all(result.ok for result in fifo.send_batch(sent))

    received = fifo.receive(10, wait_seconds=0)
    assert [m.body for m in received if m.group == "42"] == ["1", "2"]
    assert {m.group for m in received} == {"42", "c"}
    assert fifo.is_fifo
    assert fifo.longest_delay_seconds == 0
    assert all(result.ok for result in fifo.delete_batch([m.receipt for m in received]))


def test_the_setup_of_a_queue_names_where_messages_die(sqs_url: str) -> None:
    with closing(make_queue(sqs_url)) as dead, closing(make_queue(sqs_url)) as bare:
        dead_arn = dead.attributes().arn
        policy = f'{{"deadLetterTargetArn": "{dead_arn}", "maxReceiveCount": "5"}}'
        with closing(make_queue(sqs_url, RedrivePolicy=policy, VisibilityTimeout="120")) as queue:
            setup = queue.attributes()
        without = bare.attributes()

    assert setup.dead_letter_arn == dead_arn
    assert setup.max_receive_count == 5
    assert setup.visibility_seconds == 120
    assert setup.retention_seconds == 345_600
    assert not setup.fifo
    assert without.dead_letter_arn is None
    assert without.max_receive_count is None


def test_a_wrong_queue_url_names_the_error_of_aws(sqs_url: str) -> None:
    queue = SqsQueue(f"{sqs_url}/123456789012/absent")

    with (
        closing(queue),
        pytest.raises(QueueUnavailableError, match=r"absent: AWS.*NonExistentQueue") as caught,
    ):
        queue.depth()

    assert "queue.dead_letter_url" in str(caught.value.hint)


def batch_answer(pattern: tuple[bool, ...], rng: random.Random) -> dict[str, Any]:
    good = [{"Id": str(n)} for n, ok in enumerate(pattern) if ok]
    bad = [
        {"Id": str(n), "Code": "InternalError", "SenderFault": False}
        for n, ok in enumerate(pattern)
        if not ok
    ]
    for entries in (good, bad):
        rng.shuffle(entries)
    return {"Successful": good, "Failed": bad}


def test_every_pattern_of_a_half_sent_batch_is_told_entry_by_entry(stubbed: tuple[SqsQueue, Stubber]) -> None:
    queue, stubber = stubbed
    rng = random.Random(7)
    messages = [message(f"k{n}") for n in range(10)]
    confirmation = {"MessageId": "m", "MD5OfMessageBody": "d"}
    patterns = list(product([True, False], repeat=10))
    assert len(patterns) == 1024

    for pattern in patterns:
        answer = batch_answer(pattern, rng)
        answer["Successful"] = [entry | confirmation for entry in answer["Successful"]]
        stubber.add_response("send_message_batch", answer)
        results = queue.send_batch(messages)

        assert [result.key for result in results] == [m.key for m in messages]
        assert tuple(result.ok for result in results) == pattern
        assert {result.error for result in results} <= {None, "InternalError"}


def test_every_pattern_of_a_half_deleted_batch_is_told_entry_by_entry(
    stubbed: tuple[SqsQueue, Stubber],
) -> None:
    queue, stubber = stubbed
    rng = random.Random(8)
    receipts = [f"r{n}" for n in range(10)]

    for pattern in product([True, False], repeat=10):
        stubber.add_response("delete_message_batch", batch_answer(pattern, rng))
        results = queue.delete_batch(receipts)

        assert [result.key for result in results] == receipts
        assert tuple(result.ok for result in results) == pattern


def test_an_entry_in_neither_list_or_in_both_is_not_confirmed(stubbed: tuple[SqsQueue, Stubber]) -> None:
    queue, stubber = stubbed
    both = {"Successful": [{"Id": "0"}], "Failed": [{"Id": "0", "Code": "Odd", "SenderFault": True}]}
    stubber.add_response("delete_message_batch", both)

    results = queue.delete_batch(["a", "b"])

    assert results == [BatchResult("a", "Odd", permanent=True), BatchResult("b", "no answer for this entry")]


def test_an_error_after_a_first_success_does_not_hide_what_was_confirmed(
    stubbed: tuple[SqsQueue, Stubber],
) -> None:
    queue, stubber = stubbed
    stubber.add_response("delete_message_batch", batch_answer((True,) * 10, random.Random(1)))
    stubber.add_client_error("delete_message_batch", "ServiceUnavailable", http_status_code=503)

    results = queue.delete_batch([f"r{n}" for n in range(25)])

    assert [result.ok for result in results] == [True] * 10 + [False] * 15
    assert all(str(result.error).endswith("ServiceUnavailable") for result in results[10:])


def test_an_empty_batch_asks_nothing(stubbed: tuple[SqsQueue, Stubber]) -> None:
    queue, _ = stubbed

    assert queue.send_batch([]) == []
    assert queue.delete_batch([]) == []
    assert queue.change_visibility_batch([], 0) == []


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDenied", 403, PermissionDeniedError),
        ("AccessDeniedException", 400, PermissionDeniedError),
        ("InvalidClientTokenId", 403, PermissionDeniedError),
        ("UnrecognizedClientException", 400, PermissionDeniedError),
        ("ExpiredToken", 403, PermissionDeniedError),
        ("ExpiredTokenException", 400, PermissionDeniedError),
        ("SignatureDoesNotMatch", 403, PermissionDeniedError),
        ("InvalidSignatureException", 400, PermissionDeniedError),
        ("RequestExpired", 400, PermissionDeniedError),
        ("MissingAuthenticationToken", 403, PermissionDeniedError),
        ("KmsAccessDenied", 400, PermissionDeniedError),
        ("InvalidSecurity", 400, PermissionDeniedError),
        ("403", 403, PermissionDeniedError),
        ("RequestThrottled", 403, QueueUnavailableError),
        ("ThrottlingException", 400, QueueUnavailableError),
        ("KmsThrottled", 400, QueueUnavailableError),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, QueueUnavailableError),
        ("QueueDoesNotExist", 400, QueueUnavailableError),
        ("KmsDisabled", 400, QueueUnavailableError),
        ("InternalError", 500, QueueUnavailableError),
        ("ServiceUnavailable", 503, QueueUnavailableError),
        ("502", 502, QueueUnavailableError),
    ],
)
def test_an_error_of_aws_is_named_by_its_code_and_nothing_else_of_it(
    stubbed: tuple[SqsQueue, Stubber], code: str, status: int, expected: type[PondctlError]
) -> None:
    queue, stubber = stubbed
    stubber.add_client_error(
        "get_queue_attributes", code, "x-amz-security-token:PLANTED", http_status_code=status
    )

    with pytest.raises(expected) as caught:
        queue.attributes()

    assert caught.value.message.endswith(f"GetQueueAttributes on queue bulk-change: {code}")
    assert "PLANTED" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_refusal_names_the_right_that_is_missing(stubbed: tuple[SqsQueue, Stubber]) -> None:
    queue, stubber = stubbed
    stubber.add_client_error("send_message_batch", "AccessDenied", http_status_code=403)

    with pytest.raises(PermissionDeniedError) as caught:
        queue.send_batch([message()])

    assert "sqs:SendMessage " in str(caught.value.hint)


class Failing(BaseHTTPRequestHandler):
    """Answers each call with the next of `answers`, the last one for ever."""

    answers: tuple[tuple[int, bytes], ...] = ((500, b"{}"),)
    calls: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append(self.headers["X-Amz-Target"])
        status, body = self.answers[min(len(self.calls), len(self.answers)) - 1]
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if b"<" in body else "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def failing() -> Iterator[tuple[str, type[Failing]]]:
    handler = type("Handler", (Failing,), {"calls": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/1/q", handler
        server.shutdown()
        thread.join()


def test_a_call_is_tried_three_times_and_no_more(failing: tuple[str, type[Failing]]) -> None:
    url, server = failing

    with closing(SqsQueue(url)) as queue, pytest.raises(QueueUnavailableError):
        queue.depth()

    assert server.calls == ["AmazonSQS.GetQueueAttributes"] * 3


def test_a_call_that_works_the_second_time_worked(failing: tuple[str, type[Failing]]) -> None:
    url, server = failing
    server.answers = ((503, b"<html>"), (200, b'{"Attributes": {"ApproximateNumberOfMessages": "4"}}'))

    with closing(SqsQueue(url)) as queue:
        assert queue.depth().waiting == 4


def test_a_web_page_is_an_outage_and_no_empty_queue(failing: tuple[str, type[Failing]]) -> None:
    url, server = failing
    server.answers = ((200, b"<html>it works</html>"),)

    with closing(SqsQueue(url)) as queue, pytest.raises(QueueUnavailableError, match="ResponseParserError"):
        queue.receive(10, wait_seconds=0)


@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b"1", b"null", b'"x"', b"[" * 100_000, b'{"Failed": [1]}'),
        b'{"Messages": [{"Attributes": 1}]}',
        b'{"Attributes": {"RedrivePolicy": "[]"}}',
        b'{"Attributes": {"RedrivePolicy": "no"}}',
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_json_of_another_shape_is_an_outage_or_nothing_and_no_bug(
    failing: tuple[str, type[Failing]], body: bytes, status: int
) -> None:
    url, server = failing
    server.answers = ((status, body),)

    with closing(SqsQueue(url)) as queue:
        calls: list[Callable[[], object]] = [
            queue.depth,
            lambda: queue.receive(1, wait_seconds=0),
            lambda: queue.delete_batch(["r"]),
            lambda: queue.send_batch([OutgoingMessage("k", {"BulkChangeId": "1"}, "b")]),
        ]
        for call in calls:
            with suppress(QueueUnavailableError):
                result = call()
                assert not isinstance(result, list) or not any(
                    isinstance(each, BatchResult) and each.ok for each in result
                )


def test_a_queue_that_nobody_listens_for_is_unavailable() -> None:
    queue = SqsQueue("http://127.0.0.1:9/1/q")

    with closing(queue), pytest.raises(QueueUnavailableError, match="EndpointConnectionError"):
        queue.depth()


def test_no_credentials_is_a_matter_of_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    queue = SqsQueue("http://127.0.0.1:9/1/q")

    with closing(queue), pytest.raises(PermissionDeniedError, match="NoCredentialsError"):
        queue.depth()


def test_an_aws_profile_or_an_address_that_cannot_be_is_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError):
        SqsQueue("not a url").depth()
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(ConfigurationError, match="ProfileNotFound"):
        SqsQueue(URL).depth()


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (URL, "eu-west-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", "us-gov-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1"),
        ("https://vpce-1-2.sqs.us-east-2.vpce.amazonaws.com/1/q", "us-east-2"),
        ("https://ap-southeast-2.queue.amazonaws.com/1/q", "ap-southeast-2"),
        ("https://queue.amazonaws.com/1/q", None),
        ("http://127.0.0.1:9324/000000000000/sqs.q", None),
    ],
)
def test_the_region_is_that_of_the_queue_url(url: str, region: str | None) -> None:
    assert region_of(url) == region


def test_the_client_has_one_known_retry_mode_and_its_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://elsewhere.example")

    with closing(SqsQueue(URL, connections=33)) as queue:
        config, meta = queue.client.meta.config, queue.client.meta

        assert config.retries == {"mode": "standard", "total_max_attempts": 3}
        assert (config.connect_timeout, config.read_timeout) == (5, 30)
        assert config.max_pool_connections == 33
        assert meta.region_name == "eu-west-1"
        assert meta.endpoint_url == "https://sqs.eu-west-1.amazonaws.com"
    with closing(SqsQueue(URL, endpoint_url="http://127.0.0.1:9324")) as queue:
        assert queue.client.meta.endpoint_url == "http://127.0.0.1:9324"


def test_many_threads_share_one_client() -> None:
    with closing(SqsQueue(URL)) as queue:
        clients: list[object] = []
        threads = [threading.Thread(target=lambda: clients.append(queue.client)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(map(id, clients))) == 1


def test_boto3_is_loaded_with_the_first_call_and_not_before() -> None:
    code = "import sys, pondctl.clients.sqs, pondctl.clients.message; sys.exit('botocore' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_sqs_queue_can_stand_where_any_queue_can() -> None:
    queue: Queue = SqsQueue(URL)

    assert queue.name == "bulk-change"
