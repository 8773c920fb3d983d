"""`--debug-http`: requests and answers on stderr, without a secret and without an identifier."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pondctl.telemetry.identifiers import bind_key, pseudonym
from tests.queue_world import QueueWorld
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, World


def exchanges(stderr: str) -> list[dict[str, Any]]:
    """The exchanges among the log lines."""
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "http exchange"]


@pytest.mark.parametrize("before", [True, False])
def test_requests_and_answers_are_shown_wherever_the_option_stands(world: World, before: bool) -> None:
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    bulk = world.given(ICCIDS[0])
    words = ("--debug-http", "sync-bulk", bulk) if before else ("sync-bulk", bulk, "--debug-http")

    ended = world.run(*words, "--strategy", "lookup", PONDCTL_TELEMETRY__PSEUDONYM_KEY="k" * 32)

    assert ended.exit_code == 0
    shown = exchanges(ended.stderr)
    assert [each["url"].rpartition("/api")[2] for each in shown] == [
        "/ts/v1/oauth2/token",
        "/m2m/v1/session/login",
        "/m2m/v1/devices/actions/list",
    ]
    bind_key(b"k" * 32)
    token, login, listing = shown
    assert token["request_headers"]["authorization"] == "***"
    assert token["response_body"]["access_token"] == "***"
    assert login["request_body"] == {
        "username": world.settings["PONDCTL_THINGSPACE__USERNAME"],
        "password": "***",
    }
    assert login["response_body"] == {"sessionToken": "***"}
    assert listing["request_headers"]["vz-m2m-token"] == "***"
    assert pseudonym(ICCIDS[0]) in json.dumps(listing["request_body"])
    assert pseudonym("12015550123") in json.dumps(listing["response_body"])
    assert listing["http_status"] == 200
    assert (listing["run_id"], listing["bulk_change_id"]) == (world.own("run")[0]["run_id"], str(bulk))
    assert listing["iccid"] == pseudonym(ICCIDS[0])
    assert ICCIDS[0] not in ended.stderr.replace(ended.stdout, "")
    assert "12015550123" not in ended.stderr


def test_sqs_is_shown_too(world: World, sqs: SqsServer) -> None:
    queue = QueueWorld(world, sqs)
    queue.put(world.given(ICCIDS[0]))

    ended = queue.work("--debug-http")

    shown = [each for each in exchanges(ended.stderr) if each["carrier"] == "sqs"]
    assert {each["request_headers"]["X-Amz-Target"] for each in shown} >= {"AmazonSQS.ReceiveMessage"}
    assert all(each["request_headers"]["Authorization"] == "***" for each in shown)
    assert any("BulkChangeId" in json.dumps(each["response_body"]) for each in shown)


def test_without_it_no_exchange_is_shown_and_a_lost_one_says_why(world: World) -> None:
    bulk = world.given(ICCIDS[0])
    assert exchanges(world.run("-v", "sync-bulk", bulk).stderr) == []

    gone = {"PONDCTL_THINGSPACE__BASE_URL": "http://127.0.0.1:1/api", "PONDCTL_LIMITS__OUTAGE_SECONDS": "1"}
    ended = world.run("sync-bulk", world.given(ICCIDS[1]), "--debug-http", "-q", **gone)

    assert ended.exit_code == 7
    first = exchanges(ended.stderr)[0]
    assert first["error"].startswith("ConnectError")
    assert "http_status" not in first
