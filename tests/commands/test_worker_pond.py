"""`worker` and the life cycle at POND: only where the settings say so, ends only where a person did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.pond_life import PROVIDER, SETTLE, WANTED, A, B, sims, standing, writes
from tests.queue_world import NO_FLAG, QueueWorld, envelope, plain
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, World

WRITES = SETTLE | {
    "PONDCTL_QUEUE__ACCEPT_WRITES": "true",
    "PONDCTL_POND__SERVICE_PROVIDER_IDS": f"[{PROVIDER}]",
}


@pytest.fixture
def queue(world: World, sqs: SqsServer) -> QueueWorld:
    queue = QueueWorld(world, sqs)
    queue.settings |= WRITES
    return queue


def asking(word: str, *iccids: str) -> list[dict[str, str]]:
    request = json.dumps({"UpdateStatus": word, "Request": {"PackageTypeId": WANTED}})
    return [{"ICCID": iccid, "ChangeRequest": request} for iccid in iccids]


def given(queue: QueueWorld, word: str, *iccids: str) -> int:
    return queue.world.given(*asking(word, *iccids), provider=PROVIDER)


def test_a_bulk_change_of_pond_is_worked_off(queue: QueueWorld) -> None:
    sims(queue.world, A, B)
    bulk = given(queue, "Active", A, B)
    queue.put(bulk, **NO_FLAG)

    result = queue.work("-o", "json")

    assert result.exit_code == 0, result.stderr
    assert result.json["run"] == 1
    assert [standing(queue.world, iccid) for iccid in (A, B)] == [[WANTED], [WANTED]]
    assert queue.world.header(bulk)["Status"] == "PROCESSED"
    assert queue.messages == []


def test_without_accept_writes_nothing_is_written(queue: QueueWorld) -> None:
    sims(queue.world, A)
    queue.put(given(queue, "Active", A), **NO_FLAG)

    result = queue.work(PONDCTL_QUEUE__ACCEPT_WRITES="false")

    assert result.exit_code == 2
    assert "accept_writes" in result.stderr
    assert writes(queue.world) == 0
    assert len(queue.messages) == 1


def test_delivered_again_and_again_no_second_package_is_added(queue: QueueWorld) -> None:
    sims(queue.world, A)
    bulk = given(queue, "Active", A)
    for _ in range(5):
        queue.put(bulk)

    assert queue.work().exit_code == 0
    assert writes(queue.world) == 2


def test_a_termination_that_nobody_asked_pondctl_for_is_not_begun(queue: QueueWorld) -> None:
    sims(queue.world, A, packages=((WANTED, "ACTIVE"),))
    queue.put(given(queue, "Terminated", A))

    result = queue.work()

    assert result.exit_code == 2
    assert "shared" in result.stderr
    assert standing(queue.world, A) == [WANTED]
    assert queue.letters() == []
    assert [message.hidden for message in queue.messages] == [False]


def test_a_termination_made_with_a_reason_is_worked_off(queue: QueueWorld, tmp_path: Path) -> None:
    sims(queue.world, A, packages=((WANTED, "ACTIVE"),))
    file = tmp_path / "devices"
    file.write_text(A)
    words = (
        "bulk",
        "create",
        "--from",
        file,
        "--operation",
        "terminate",
        "--yes",
        "--reason",
        "contract ended",
    )
    made = queue.world.run(
        *words, "--service-provider", PROVIDER, "--enqueue", "-o", "json", **queue.settings
    )
    assert made.exit_code == 0, made.stderr

    result = queue.work()

    assert result.exit_code == 0, result.stderr
    assert standing(queue.world, A) == []
    assert {run["reason"] for run in queue.runs() if run["command"] == "terminate"} == {"contract ended"}


def test_rows_that_ask_for_nothing_pond_can_do_make_a_dead_letter(queue: QueueWorld) -> None:
    queue.put(given(queue, "Exploded", A))

    result = queue.work()

    assert result.exit_code == 3
    assert "asks for" in queue.letters()[0]["reason"]
    assert writes(queue.world) == 0


def test_what_was_deferred_comes_again_with_the_flag(queue: QueueWorld) -> None:
    sims(queue.world, A)
    bulk = given(queue, "Active", A)
    queue.world.sandbox.fault(Fault("pond.*", FaultKind.STATUS, 503))
    queue.put(bulk, RetryNumber=1, **NO_FLAG)

    result = queue.work(PONDCTL_LIMITS__CALL_SECONDS="1", PONDCTL_LIMITS__OUTAGE_SECONDS="30")

    assert result.exit_code == 0, result.stderr
    [check] = queue.messages
    assert plain(check)["IsRetryNewActivateThingSpaceDevice"] == "True"


def test_checks_without_progress_are_used_up_in_the_end(queue: QueueWorld) -> None:
    sims(queue.world, A)
    bulk = given(queue, "Active", A, ICCIDS[5])
    queue.put(bulk, json.dumps({"pondctl": {"key": "k-1", "stalled": 5}}), RetryNumber=6)

    result = queue.work()

    assert result.exit_code == 3
    assert queue.world.header(bulk)["Status"] == "ERROR"
    assert {row["Status"] for row in queue.world.rows(bulk)} == {"API_FAILED"}
    assert queue.letters()[0]["category"] == "retries_exhausted"
    assert queue.messages == []
    assert writes(queue.world) == 0


def test_the_envelope_of_a_check_counts_the_troubled_ones(queue: QueueWorld) -> None:
    sims(queue.world, A)
    bulk = given(queue, "Active", A)
    queue.world.sandbox.fault(Fault("pond.*", FaultKind.STATUS, 503))
    body = json.dumps({"pondctl": {"key": "k-1", "stalled": 2}})
    queue.put(bulk, body, RetryNumber=3)

    queue.work(
        PONDCTL_LIMITS__CALL_SECONDS="1",
        PONDCTL_LIMITS__OUTAGE_SECONDS="30",
        PONDCTL_QUEUE__RETRY_BASE_SECONDS="900",
    )

    assert [envelope(message)["stalled"] for message in queue.messages] in ([2], [3])
