"""`worker` from the command line to rows and queue: ours is worked off once, what is not ours is left."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.queue_world import NO_FLAG, QueueWorld, envelope, plain, text
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, World

A, B, C = ICCIDS[:3]


@pytest.fixture
def queue(world: World, sqs: SqsServer) -> QueueWorld:
    return QueueWorld(world, sqs)


def pending(world: World, *iccids: str, **header: Any) -> int:
    """A bulk change whose devices the carrier has not finished."""
    for iccid in iccids:
        world.thingspace.add(iccid, state="pending activation")
    return world.given(*iccids, **header)


def active(world: World, *iccids: str, **header: Any) -> int:
    """A bulk change whose devices are active."""
    for number, iccid in enumerate(iccids):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    return world.given(*iccids, **header)


def test_a_message_is_worked_off_and_deleted(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.put(bulk, RetryNumber=1)

    result = queue.work("-o", "json")

    assert result.exit_code == 0, result.stderr
    assert (result.json["received"], result.json["run"], result.json["dead_letters"]) == (1, 1, 0)
    assert queue.world.header(bulk)["Status"] == "PROCESSED"
    assert queue.messages == []


def test_the_embedded_queue_is_worked_off_too(world: World) -> None:
    bulk = pending(world, A)
    settings = {"PONDCTL_QUEUE__PENDING_CHECK_SECONDS": "1"}
    assert world.run("sync-bulk", bulk, **settings).exit_code == 8
    world.thingspace.add(A, state="active", msisdn="12015550123")
    time.sleep(1.1)

    assert world.run("worker", "--once", **settings).exit_code == 0
    assert world.header(bulk)["Status"] == "PROCESSED"
    assert [row["state"] for row in world.messages(bulk)] == ["done"]


def test_what_is_not_due_stays_in_the_embedded_queue(world: World) -> None:
    bulk = pending(world, A)
    world.run("sync-bulk", bulk)

    assert world.run("worker", "--once").exit_code == 0
    assert [row["state"] for row in world.messages(bulk)] == ["waiting"]
    assert len(world.own("run")) == 1


def test_the_next_check_keeps_every_attribute_and_counts_on(queue: QueueWorld) -> None:
    bulk = pending(queue.world, A)
    queue.put(bulk, RetryNumber=4, RequestId="req-1", AdditionBulkChangeId=7, Portal="x")

    queue.work()

    [check] = queue.messages
    assert plain(check) == {
        "BulkChangeId": str(bulk),
        "IsRetryNewActivateThingSpaceDevice": "True",
        "RetryNumber": "5",
        "RequestId": "req-1",
        "AdditionBulkChangeId": "7",
        "Portal": "x",
    }
    assert envelope(check)["key"]
    assert check.hidden


def test_attributes_in_any_letter_case_are_understood_and_go_on_under_their_exact_names(
    queue: QueueWorld,
) -> None:
    bulk = pending(queue.world, A)
    queue.send(
        "x",
        {
            "bulkchangeid": text(bulk),
            "ISRETRYNEWACTIVATETHINGSPACEDEVICE": text("TRUE"),
            "retrynumber": text(1),
        },
    )

    queue.work()

    [check] = queue.messages
    assert plain(check) == {
        "BulkChangeId": str(bulk),
        "IsRetryNewActivateThingSpaceDevice": "True",
        "RetryNumber": "2",
    }


def test_many_messages_about_one_bulk_change_leave_one_check(queue: QueueWorld) -> None:
    """The existing producer sends one for each device: N devices, N chains, N² reads (defect 4)."""
    bulk = pending(queue.world, *ICCIDS[:8])
    for row in queue.world.rows(bulk):
        queue.put(bulk, RetryNumber=1, M2MDeviceChangeId=row["Id"])

    assert queue.work(PONDCTL_THINGSPACE__REQUESTS_PER_SECOND="1000").exit_code == 0

    assert len(queue.messages) == 1


def test_a_settled_bulk_change_costs_no_run(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.sync(bulk)
    runs = len(queue.runs())
    for _ in range(3):
        queue.put(bulk)

    result = queue.work("-o", "json")

    assert (result.exit_code, result.json["worked_off"]) == (0, 3)
    assert queue.messages == []
    assert len(queue.runs()) == runs


def test_a_check_delivered_twice_has_one_effect(queue: QueueWorld) -> None:
    bulk = pending(queue.world, A)
    queue.put(bulk)
    queue.work(PONDCTL_QUEUE__PENDING_CHECK_SECONDS="4")
    [check] = queue.messages
    time.sleep(4.1)
    for _ in range(3):
        queue.send(check.body, check.attributes)

    result = queue.work("-o", "json")

    assert (result.json["run"], result.json["worked_off"]) == (1, 3)
    [following] = queue.messages
    assert plain(following)["RetryNumber"] == "2"


def test_a_message_with_another_flag_is_passed_on_unchanged_and_then_deleted(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    foreign = queue.sqs.create("others")
    queue.put(bulk, "their body", **NO_FLAG, IsRetryUpdateIdentifier="True", RequestId="r")

    result = queue.work(PONDCTL_QUEUE__FOREIGN_URL=foreign)

    assert result.exit_code == 0, result.stderr
    assert queue.messages == []
    [passed] = queue.sqs.queue(foreign).messages.values()
    assert passed.body == "their body"
    assert plain(passed)["RequestId"] == "r"
    assert queue.letters() == []


@pytest.mark.parametrize(
    ("attributes", "settings"),
    [
        ({**NO_FLAG, "IsRetryUpdateIdentifier": "True"}, {}),
        (NO_FLAG, {}),
        ({}, {"PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS": "[77]"}),
        ({}, {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[2]"}),
        ({}, {"PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "[77]"}),
    ],
    ids=["identifier", "no flag", "other provider", "POND without accept_writes", "provider not allowed"],
)
def test_a_message_of_others_is_left_untouched_and_the_worker_stops(
    queue: QueueWorld, attributes: dict[str, str], settings: dict[str, str]
) -> None:
    bulk = active(queue.world, A)
    queue.put(bulk, **attributes)

    result = queue.work(**settings)

    assert result.exit_code == 2
    assert "shared" in result.stderr
    [message] = queue.messages
    assert (message.hidden, message.body) == (False, "Not used")
    assert queue.letters() == []
    assert queue.runs() == []


def test_without_the_flag_a_message_is_taken_where_the_settings_say_so(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.put(bulk, **NO_FLAG)

    assert queue.work(PONDCTL_QUEUE__REQUIRE_FLAG="false").exit_code == 0
    assert queue.world.header(bulk)["Status"] == "PROCESSED"


def test_the_automated_flag_is_ours(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.put(bulk, **NO_FLAG, IsFromAutomatedUpdateDeviceStatusLambda="true")

    assert queue.work().exit_code == 0
    assert queue.world.header(bulk)["Status"] == "PROCESSED"


def test_every_check_that_is_sent_carries_the_flag(queue: QueueWorld) -> None:
    bulk = pending(queue.world, A)
    queue.put(bulk, **NO_FLAG, IsFromAutomatedUpdateDeviceStatusLambda="true")

    queue.work()

    [check] = queue.messages
    assert plain(check)["IsRetryNewActivateThingSpaceDevice"] == "True"


BINARY = {"DataType": "Binary", "BinaryValue": "AAEC"}
_ID, _BODY = "BulkChangeId", "body"
# What is wrong with each, as the dead letter has to say it.
POISON: list[tuple[str, str, dict[str, Any]]] = [
    (_ID, "x", {"RetryNumber": text(1)}),
    (_ID, "x", {}),
    ("4711 does not exist", "x", {_ID: text(4711)}),
    (_ID, "x", {_ID: text(0)}),
    (_ID, "x", {_ID: text(-1)}),
    (_ID, "x", {_ID: text(2**63)}),
    (_ID, "x", {_ID: text("1.0")}),
    (_ID, "x", {_ID: text("\uff11")}),
    (_ID, "x", {_ID: text("one")}),
    (_ID, "x", {_ID: BINARY}),
    (_ID, "x", {_ID: text(1), "bulkchangeid": text(1)}),
    ("RetryNumber", "x", {_ID: text(1), "RetryNumber": text(2**31)}),
    ("IsRetryUpdateIdentifier", "x", {_ID: text(1), "IsRetryUpdateIdentifier": text("yes")}),
    ("stalled", '{"pondctl": {"stalled": -1}}', {_ID: text(1)}),
    (_BODY, '{"pondctl": ' + "[" * 100_000, {_ID: text(1)}),
    (_ID, "[" * 100_000, {}),
    (_ID, "\u0001" * 200_000, {}),
    (_ID, "x", {"Picture": BINARY | {"BinaryValue": "AAEC" * 65_000}}),
    ("longer than", "x", {_ID: text(1), "Picture": BINARY | {"BinaryValue": "AAEC" * 87_000}}),
]


def test_poison_becomes_one_dead_letter_with_the_reason_and_the_batch_goes_on(queue: QueueWorld) -> None:
    good = active(queue.world, A)
    sent = {queue.send(body, attributes): (reason, body) for reason, body, attributes in POISON}
    queue.put(good)

    result = queue.work()

    assert result.exit_code == 3, result.stderr
    letters = {letter["source_message_id"]: letter for letter in queue.letters()}
    assert letters.keys() == sent.keys()
    for message_id, (reason, body) in sent.items():
        assert reason in letters[message_id]["reason"]
        assert letters[message_id]["body"] == body
    assert len(queue.letters()) == len(POISON)
    assert queue.messages == []
    assert queue.world.header(good)["Status"] == "PROCESSED"


def test_poison_that_names_its_bulk_change_is_found_by_it(queue: QueueWorld) -> None:
    bulk = queue.world.given(A)
    queue.put(bulk, RetryNumber="three")
    queue.put("9" * 19)

    queue.work()

    listed = queue.world.run("dead-letter", "list", "--bulk-change", bulk, "--iccid", A, "-o", "json").json
    assert [(each["bulk_change_id"], each["category"]) for each in listed] == [(str(bulk), "invalid_message")]
    assert {letter["bulk_change_id"] for letter in queue.letters()} == {bulk, None}


@pytest.mark.parametrize("field", ["not_before", "pending_since"])
def test_a_time_that_never_comes_neither_sends_the_worker_in_circles_nor_makes_a_check_immortal(
    queue: QueueWorld, field: str
) -> None:
    queue.put(pending(queue.world, A), json.dumps({"pondctl": {field: "9999-12-31T23:59:59Z"}}))

    result = queue.work("--max-runtime", "20s", "-o", "json")

    assert (result.json["received"], result.json["run"]) == (1, 1)
    [check] = queue.messages
    assert not envelope(check)["pending_since"].startswith("9999")


def test_poison_delivered_again_makes_no_second_letter(queue: QueueWorld) -> None:
    queue.sqs.queue(queue.url).twice = 0.9
    queue.send("x", {})

    assert queue.work().exit_code == 3
    assert len(queue.letters()) == 1


def test_a_login_in_a_dead_letter_is_not_stored(queue: QueueWorld) -> None:
    queue.send(json.dumps({"username": "u", "password": "hunter2", "deviceIds": []}), {})

    queue.work()

    [letter] = queue.letters()
    assert "hunter2" not in json.dumps(letter, default=str)


def test_a_busy_bulk_change_leaves_an_unchanged_copy_and_burns_no_receive(queue: QueueWorld) -> None:
    bulk = active(queue.world, *ICCIDS)
    queue.world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, 0.2))
    words = ("--strategy", "lookup", "--workers", "1")
    by_hand = queue.world.spawn("sync-bulk", bulk, *words, **queue.settings)
    while queue.world.calls("thingspace.lookup") < 2:
        time.sleep(0.02)
    queue.put(bulk, "their body", RetryNumber=3, Portal="x")

    result = queue.work("-o", "json")
    by_hand.kill()
    by_hand.communicate()

    assert result.json["busy"] == 1
    [copy] = queue.messages
    assert (copy.body, copy.receives) == ("their body", 0)
    assert plain(copy) == {**plain(copy), "RetryNumber": "3", "Portal": "x"}
    assert 20 < copy.visible_at - time.monotonic() < 60


def test_while_the_carrier_is_away_the_same_check_is_queued_again(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.world.sandbox.fault(Fault("thingspace.*", FaultKind.STATUS, 503))
    queue.put(bulk, RetryNumber=3)

    result = queue.work(PONDCTL_LIMITS__OUTAGE_SECONDS="1", PONDCTL_LIMITS__CALL_SECONDS="1")

    assert result.exit_code == 0, result.stderr
    [check] = queue.messages
    assert plain(check)["RetryNumber"] == "3"
    assert check.receives == 0
    assert queue.letters() == []


def test_refused_credentials_stop_the_worker_and_the_message_stays(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.put(bulk)

    result = queue.work(PONDCTL_THINGSPACE__PASSWORD="wrong")

    assert result.exit_code == 4
    [message] = queue.messages
    assert not message.hidden
    assert queue.world.calls("thingspace.login") == 1


def test_giving_up_is_no_success(queue: QueueWorld) -> None:
    """The system that runs today sets PROCESSED after its last retry (defect 2)."""
    bulk = pending(queue.world, A)
    body = json.dumps({"pondctl": {"key": "k-1", "pending_since": "2026-11-01T00:00:00Z"}})
    queue.put(bulk, body, RetryNumber=95)

    result = queue.work()

    assert result.exit_code == 3
    assert queue.world.header(bulk)["Status"] == "ERROR"
    [row] = queue.world.rows(bulk)
    assert (row["Status"], row["HasErrors"]) == ("API_FAILED", True)
    assert row["StatusDetails"].startswith("retries_exhausted")
    [letter] = queue.letters()
    assert (letter["category"], letter["bulk_change_id"]) == ("retries_exhausted", bulk)
    assert queue.messages == []


def test_each_row_keeps_its_own_result_when_the_header_closes(queue: QueueWorld) -> None:
    """Closing the header overwrites the status of all rows today (defect 1)."""
    queue.world.thingspace.add(A, state="active", msisdn="12015550123")
    bulk = queue.world.given(
        A, "nonsense", {"ICCID": B, "IsProcessed": True, "HasErrors": True, "Status": "ERROR"}
    )
    queue.put(bulk)

    queue.work()

    assert [row["Status"] for row in queue.world.rows(bulk)] == ["PROCESSED", "API_FAILED", "ERROR"]
    assert queue.world.header(bulk)["Status"] == "PROCESSED"


def test_a_check_that_comes_early_hops_on(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    body = json.dumps({"pondctl": {"key": "k-1", "not_before": "2099-01-01T00:00:00Z"}})
    queue.put(bulk, body.replace("2099-01-01", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))))

    result = queue.work("-o", "json")

    assert result.json["not_due"] == 1
    [message] = queue.messages
    assert 890 < message.visible_at - time.monotonic() <= 900
    assert queue.runs() == []


@pytest.mark.parametrize(
    "wrong", ["PONDCTL_QUEUE__URL", "PONDCTL_QUEUE__DEAD_LETTER_URL", "PONDCTL_QUEUE__FOREIGN_URL"]
)
def test_a_queue_that_is_not_there_ends_it_before_anything_is_received(queue: QueueWorld, wrong: str) -> None:
    queue.put(active(queue.world, A))

    result = queue.world.run("worker", "--once", **queue.settings | {wrong: f"{queue.sqs.url}/1/nowhere"})

    assert result.exit_code == 7
    assert "QueueDoesNotExist" in result.stderr
    assert [message.receives for message in queue.messages] == [0]


def test_a_right_to_send_that_is_withdrawn_leaves_a_message_of_others(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.put(bulk, **NO_FLAG)
    foreign = queue.sqs.create("others")
    queue.sqs.deny_call = lambda action, request: action == "SendMessageBatch" and bool(request["Entries"])

    result = queue.work(PONDCTL_QUEUE__FOREIGN_URL=foreign)

    assert result.exit_code == 4
    assert len(queue.messages) == 1


def test_a_right_to_delete_that_is_withdrawn_ends_it(queue: QueueWorld) -> None:
    queue.put(active(queue.world, A))
    queue.put("poison")
    queue.sqs.deny_call = lambda action, request: action == "DeleteMessageBatch" and queue.runs() != []

    result = queue.work()

    assert result.exit_code == 4
    assert "sqs:DeleteMessage" in result.stderr
    assert queue.messages != []


def test_a_queue_that_vanishes_ends_it_and_what_was_done_is_saved(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.put(bulk)

    def vanish(action: str, _request: object) -> bool:
        if action == "DeleteMessageBatch" and queue.runs():
            queue.sqs.queues.clear()
        return False

    queue.sqs.deny_call = vanish

    result = queue.work()

    assert result.exit_code == 7
    assert "QueueDoesNotExist" in result.stderr
    assert queue.world.header(bulk)["Status"] == "PROCESSED"


def test_max_messages_is_kept(queue: QueueWorld) -> None:
    bulk = active(queue.world, A)
    queue.sync(bulk)
    for _ in range(25):
        queue.put(bulk)

    result = queue.world.run("worker", "--max-messages", "12", "-o", "json", **queue.settings)

    assert result.json["received"] == 12
    assert sum(message.receives for message in queue.messages) == 0
    assert len(queue.messages) == 13


def test_max_runtime_ends_a_run_in_order_and_queues_the_same_check(queue: QueueWorld) -> None:
    bulk = active(queue.world, *ICCIDS)
    queue.world.account_is_large()
    queue.world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, 0.3))
    queue.put(bulk, RetryNumber=2)
    began = time.monotonic()

    result = queue.world.run("worker", "--max-runtime", "3s", "--workers", "2", **queue.settings)

    assert result.exit_code == 0, result.stderr
    assert time.monotonic() - began < 20
    done = sum(bool(row["MSISDN"]) for row in queue.world.rows(bulk))
    assert 0 < done < len(ICCIDS)
    [check] = queue.messages
    assert plain(check)["RetryNumber"] == "2"


@pytest.mark.parametrize("word", ["0", "soon", "-5", "1y", ""])
def test_a_runtime_that_is_none_is_usage(queue: QueueWorld, word: str) -> None:
    assert queue.work(f"--max-runtime={word}").exit_code == 2


def test_a_check_queued_by_hand_is_sent_at_once(queue: QueueWorld) -> None:
    bulk = pending(queue.world, A)

    result = queue.sync(bulk)

    assert result.exit_code == 8, result.stderr
    [check] = queue.messages
    assert 890 < check.visible_at - time.monotonic() <= 900
    assert [row["state"] for row in queue.world.messages(bulk)] == ["sent"]


def test_where_it_cannot_be_sent_the_run_says_so_and_the_next_worker_sends_it(queue: QueueWorld) -> None:
    bulk = pending(queue.world, A)
    queue.sqs.fail("SendMessageBatch", "com.amazonaws.sqs#ServiceUnavailable", status=503, times=9)

    result = queue.sync(bulk, "-o", "json")

    assert result.exit_code == 7
    assert "ServiceUnavailable" in result.stdout + result.stderr
    assert queue.messages == []
    assert queue.world.rows(bulk)[0]["StatusDetails"] == "pending activation"
    queue.sqs.reset_faults()
    message = queue.world.own_name("message")
    queue.world.execute(f"UPDATE {message} SET visible_at = created_at")  # the pause before the next try
    assert queue.work().exit_code == 0
    assert len(queue.messages) == 1
    assert [row["state"] for row in queue.world.messages(bulk)] == ["sent"]


def test_a_check_that_the_queue_refuses_among_others_is_told_at_the_end(queue: QueueWorld) -> None:
    bulk = pending(queue.world, A)
    queue.put(bulk)
    queue.sqs.refuse_entry = lambda action, entry: action == "SendMessageBatch"

    result = queue.work("-o", "json")

    assert result.exit_code == 7
    assert "InternalError" in result.json["error"]["message"]
    assert [row["state"] for row in queue.world.messages(bulk)] == ["waiting"]


def test_a_bulk_change_that_nobody_would_look_at_again_gets_its_check(queue: QueueWorld) -> None:
    """One header stuck in PROCESSING, its message dropped (defects 10, 11, 14)."""
    bulk = active(queue.world, A, Status="PROCESSING")
    new = active(queue.world, B)

    result = queue.work()

    assert result.exit_code == 0, result.stderr
    assert queue.world.header(bulk)["Status"] == "PROCESSED"
    assert queue.world.header(new)["Status"] == "NEW"


def test_what_has_a_check_or_belongs_to_others_is_not_looked_for(queue: QueueWorld) -> None:
    waits = pending(queue.world, A)
    queue.sync(waits)
    queue.world.given(B, provider=9, Status="PROCESSING")
    fresh = queue.world.given(
        C, Status="PROCESSING", CreatedDate=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    )

    queue.work(PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS="[2]")

    assert len(queue.messages) == 1
    assert queue.world.header(fresh)["Status"] == "PROCESSING"
    assert len(queue.runs()) == 1


def test_a_health_file_says_when_the_loop_came_round(queue: QueueWorld, tmp_path: Path) -> None:
    file = tmp_path / "health"

    assert queue.work("--health-file", file).exit_code == 0

    assert json.loads(file.read_text())["loop_at"].startswith("20")


def test_a_health_file_that_cannot_be_written_is_usage(queue: QueueWorld, tmp_path: Path) -> None:
    assert queue.work("--health-file", tmp_path / "nowhere" / "health").exit_code == 2


def test_away_from_a_terminal_it_tells_json_events(queue: QueueWorld) -> None:
    queue.put(active(queue.world, A))

    result = queue.work()

    events = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    assert "run ended" in {event["event"] for event in events}


def test_quiet_is_silent_while_all_is_well(queue: QueueWorld) -> None:
    queue.put(active(queue.world, A))

    result = queue.work("-q")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_more_than_one_message_at_a_time_is_worked_off(queue: QueueWorld) -> None:
    """A batch of more than one is dropped today (defect 15)."""
    bulks = [active(queue.world, iccid) for iccid in ICCIDS[:15]]
    for bulk in bulks:
        queue.put(bulk)

    assert queue.work("--concurrency", "8").exit_code == 0

    assert {queue.world.header(bulk)["Status"] for bulk in bulks} == {"PROCESSED"}


def test_progress_starts_the_count_of_troubled_checks_anew(queue: QueueWorld) -> None:
    """The retry counter is carried over good pages today, and large jobs end in ERROR (defect 16)."""
    queue.world.thingspace.add(A, state="active", msisdn="12015550123")
    bulk = queue.world.given(A, B)
    queue.world.sandbox.fault(Fault("thingspace.lookup", FaultKind.STATUS, 503, contains=B))
    queue.put(bulk, json.dumps({"pondctl": {"key": "k-1", "stalled": 4}}), RetryNumber=9)

    result = queue.work(PONDCTL_QUEUE__RETRY_BASE_SECONDS="900", PONDCTL_LIMITS__CALL_SECONDS="1")

    assert result.exit_code == 0, result.stderr
    [check] = queue.messages
    assert envelope(check).get("stalled", 0) == 0
    assert queue.world.header(bulk)["Status"] == "PROCESSING"


def test_workers_share_the_work_and_nothing_is_done_twice(queue: QueueWorld) -> None:
    bulks = [active(queue.world, iccid) for iccid in ICCIDS[:12]]
    for bulk in bulks:
        queue.put(bulk)

    together = [queue.world.spawn("worker", "--once", "-q", **queue.settings) for _ in range(2)]
    threads = [threading.Thread(target=process.communicate) for process in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [process.returncode for process in together] == [0, 0]
    assert {queue.world.header(bulk)["Status"] for bulk in bulks} == {"PROCESSED"}
    assert queue.world.calls("thingspace.lookup") == len(bulks)


def test_a_stuck_header_holds_nothing_else_up(queue: QueueWorld) -> None:
    """One header in PROCESSING stops all later ones today (defect 10)."""
    pending(queue.world, A, Status="PROCESSING")
    later = active(queue.world, B)
    queue.put(later)

    assert queue.work().exit_code == 0
    assert queue.world.header(later)["Status"] == "PROCESSED"


def test_a_database_that_is_not_right_swallows_no_message(queue: QueueWorld) -> None:
    """Errors outside the inner try are swallowed today: message deleted, header stuck (defect 14)."""
    bulk = active(queue.world, A)
    queue.put(bulk)

    result = queue.work(PONDCTL_DATABASE__NAMES='{"BulkChange": "NoSuchTable"}')

    assert result.exit_code == 2
    assert len(queue.messages) == 1
    assert queue.letters() == []


def test_more_than_a_hundred_devices_are_all_looked_at(queue: QueueWorld) -> None:
    """Only the first 100 changes are told today (defect 36)."""
    iccids = [f"8914800002{number:010d}" for number in range(130)]
    bulk = active(queue.world, *iccids)
    queue.put(bulk)

    result = queue.work()

    assert result.exit_code == 0, result.stderr
    assert sum(bool(row["MSISDN"]) for row in queue.world.rows(bulk)) == 130
    [ended] = [json.loads(line) for line in result.stderr.splitlines() if '"run ended"' in line]
    assert ended["counts"] == {"done": 130}


def test_a_deferred_message_keeps_its_flags_and_its_count(queue: QueueWorld) -> None:
    """Deferral sends a fresh normal message today, flags and attempts lost, without end (defect 8)."""
    bulk = active(queue.world, A)
    held = {"run_id": "r", "claim": f"bulk_change:{bulk}", "target": f"bulk_change:{bulk}", "pid": 1}
    words = ("command", "state", "actor", "host", "host_key", "profile")
    held |= dict.fromkeys(words, "running") | {"arguments": "{}"}
    held |= {"process_started": 0.0, "cancel_requested": False, "lease_until": "2099-01-01 00:00:00"}
    held |= {"started_at": "2026-11-20 08:00:00", "heartbeat_at": "2026-11-20 08:00:00"}
    places = ", ".join(f":{name}" for name in held)
    table = queue.world.own_name("run")
    queue.world.execute(f"INSERT INTO {table} ({', '.join(held)}) VALUES ({places})", **held)
    queue.put(bulk, RetryNumber=3, RequestId="r-1", AdditionBulkChangeId=8)
    sent = plain(queue.messages[0])

    assert queue.work().exit_code == 0

    assert [plain(message) for message in queue.messages] == [sent]
    assert [message.receives for message in queue.messages] == [0]


def test_a_carrier_notification_in_the_queue_is_a_hint(queue: QueueWorld) -> None:
    bulk = pending(queue.world, A)
    queue.sync(bulk)
    queue.world.thingspace.add(A, state="active", msisdn="12015550123")
    notice = {
        "requestId": "r-1",
        "deviceIds": [{"id": A, "kind": "ICCID"}],
        "username": "u",
        "password": "hunter2",
        "status": "Success",
    }
    for _ in range(4):
        queue.send(json.dumps(notice), {})

    result = queue.work()

    assert result.exit_code == 0, result.stderr
    assert queue.world.rows(bulk)[0]["MSISDN"] == "12015550123"
    assert queue.letters() == []
    assert "hunter2" not in result.stderr + json.dumps(queue.world.everything(), default=str)
