"""`dead-letter` from the command line to the rows, with SQS at the HTTP edge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dead_letters import bury, history, letters, ours, put_in_queue, queued, states
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, World

HOSTILE = "\x1b]0;owned\x07[red]=HYPERLINK(1)\u202e\nX"


@pytest.fixture
def queues(world: World, sqs: SqsServer) -> tuple[str, str]:
    """A queue and its dead-letter queue; the program is pointed at both."""
    url, dead = sqs.create("bulk"), sqs.create("bulk-dlq")
    world.settings |= {"PONDCTL_QUEUE__URL": url, "PONDCTL_QUEUE__DEAD_LETTER_URL": dead}
    return url, dead


def outcomes(result: Any) -> list[str]:
    return [each["outcome"] for each in result.json["letters"]]


def test_list_shows_no_payload_and_looking_changes_nothing(world: World) -> None:
    bury(world, 2, body="secret words", attributes={"BulkChangeId": "42", "Weight": "secret too"})
    before = world.everything()

    for form in ("table", "json", "jsonl", "csv"):
        result = world.run("dead-letter", "list", "-o", form)

        assert result.exit_code == 0, result.stderr
        assert "max_receives" in result.stdout
        assert "secret" not in result.stdout
    assert world.everything() == before
    assert [each["id"] for each in world.run("dead-letter", "list", "-o", "json").json] == ["1", "2"]


def test_list_says_what_it_left_out(world: World) -> None:
    bury(world, 5)

    assert "showing 2 of 5; --all" in world.run("dead-letter", "list", "--limit", 2).stderr
    assert len(world.run("dead-letter", "list", "--limit", 2, "--all", "-o", "json").json) == 5


def test_list_is_narrowed_by_every_filter(world: World) -> None:
    pond = world.given(ICCIDS[1], provider=4)
    mine = world.given(ICCIDS[0])
    bury(world, key="a", bulk_change_id=mine)
    bury(world, key="b", bulk_change_id=pond, category="not_found", reason="nowhere to be found")
    bury(world, key="c", bulk_change_id=None, attributes={}, body=f'{{"id": "{ICCIDS[2]}"}}')
    own = {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]", "PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS": "[2]"}

    def found(*words: object) -> list[str]:
        return [each["id"] for each in world.run("dead-letter", "list", *words, "-o", "json", **own).json]

    assert found() == ["1", "2", "3"]
    assert found("--bulk-change", mine) == ["1"]
    assert found("--iccid", ICCIDS[0]) == ["1"]
    assert found("--iccid", ICCIDS[2]) == ["3"]
    assert found("--category", "not_found") == ["2"]
    assert found("--carrier", "pond") == ["2"]
    assert found("--carrier", "thingspace") == ["1"]
    assert found("--text", "nowhere") == ["2"]
    assert found("--since", "1h") == ["1", "2", "3"]
    assert found("--older-than", "1h") == []
    assert found("--state", "discarded") == []
    assert world.run("dead-letter", "list", "--iccid", "12", "-o", "json").exit_code == 2


def test_show_tells_all_there_is_and_what_to_do_next(world: World) -> None:
    bulk = world.given({"ICCID": ICCIDS[0], "StatusDetails": "waits"}, Status="PROCESSING")
    [letter] = bury(world, bulk_change_id=bulk)

    shown = world.run("dead-letter", "show", letter, "-o", "json").json

    assert shown["attributes"] == {"BulkChangeId": str(bulk), "RetryNumber": "3"}
    assert shown["body"] == "Not used"
    assert shown["attempts"][0]["reason"] == "it broke"
    assert [each["iccid"] for each in shown["devices"]] == [ICCIDS[0]]
    assert shown["next"] == f"pondctl dead-letter requeue {letter}"
    assert shown["expires"] is None, "an open letter is kept"
    assert world.run("dead-letter", "show", 999, "-o", "json").json["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        ({"BulkChangeId": "77"}, "discard"),
        ({"BulkChangeId": "x"}, "--set BulkChangeId="),
        ({"RetryNumber": "1"}, "--set BulkChangeId="),
        ({"BulkChangeId": "77", "a b": "1"}, "SQS does not allow): pondctl dead-letter discard"),
    ],
)
def test_show_advises_what_helps(world: World, attributes: dict[str, str], word: str) -> None:
    [letter] = bury(world, bulk_change_id=None, attributes=attributes, category="not_found")

    assert word in world.run("dead-letter", "show", letter, "-o", "json").json["next"]


def test_a_requeued_letter_is_a_new_message_with_the_old_one_as_lineage(world: World) -> None:
    bulk = world.given(ICCIDS[0], Status="PROCESSING")
    [letter] = bury(world, bulk_change_id=bulk)

    result = world.run("dead-letter", "requeue", letter, "--reason", "carrier is back", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert outcomes(result) == ["requeued"]
    [message] = queued(world)
    assert message["state"] == "waiting"
    assert message["queue"] == "embedded"
    assert message["attributes"] == {"BulkChangeId": str(bulk), "RetryNumber": "3"}
    assert message["lineage"] == "k-1"
    assert (message["ours"]["key"], message["ours"]["lineage"]) == (message["message_key"], ["k-1"])
    row = letters(world)["k-1"]
    assert (row["state"], row["requeue_count"], row["change_reason"]) == ("requeued", 1, "carrier is back")
    assert row["changed_by"]
    assert history(row)[-1]["key"] == message["message_key"]


def test_an_edit_is_stored_as_the_difference(world: World) -> None:
    [letter] = bury(world, attributes={"BulkChangeId": "42", "RetryNumber": "9", "Weight:Number": "7"})
    flag = "IsRetryNewActivateThingSpaceDevice=True"
    edits = ["--set", "retrynumber=0", "--set", flag, "--unset", "weight"]

    result = world.run("dead-letter", "requeue", letter, *edits, "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert queued(world)[0]["attributes"] == {
        "BulkChangeId": "42",
        "RetryNumber": "0",
        "IsRetryNewActivateThingSpaceDevice": "True",
    }
    assert history(letters(world)["k-1"])[-1]["changes"] == {
        "RetryNumber": ["9", "0"],
        "IsRetryNewActivateThingSpaceDevice": [None, "True"],
        "Weight:Number": ["7", None],
    }
    assert json.loads(letters(world)["k-1"]["attributes"])["RetryNumber"] == "9", "the original is kept"


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "RetryNumber=many"],
        ["--set", "RetyNumber=0"],
        ["--set", "BulkChangeId=0"],
        ["--set", "IsRetryUpdateIdentifier=perhaps"],
        ["--unset", "BulkChangeId"],
        ["--set", "RetryNumber"],
    ],
)
def test_a_bad_edit_is_refused_with_the_field_named_and_nothing_stored(
    world: World, words: list[str]
) -> None:
    bury(world, 3)
    before = world.everything()

    result = world.run("dead-letter", "requeue", "1", "2", "3", *words, "-o", "json")

    assert result.exit_code == 2
    assert words[1].partition("=")[0] in result.json["error"]["message"]
    assert world.everything() == before


def test_ids_that_are_none_or_settled_by_others_are_said_and_the_rest_goes_on(world: World) -> None:
    bury(world, 3)
    assert world.run("dead-letter", "discard", "2", "--reason", "seen by Ann").exit_code == 0

    result = world.run("dead-letter", "requeue", "1", "2", "3", "99", "-o", "json")

    assert result.exit_code == 3
    became = {each["id"]: each["outcome"] for each in result.json["letters"]}
    assert became == {"99": "not_found", "1": "requeued", "2": "conflict", "3": "requeued"}
    assert "discarded already" in result.stdout
    assert len(queued(world)) == 2


def test_what_would_die_again_is_refused_by_itself(world: World) -> None:
    bury(world, key="good")
    bury(world, key="bad", attributes={"BulkChangeId": "-1"})

    result = world.run("dead-letter", "requeue", "--category", "max_receives", "-o", "json")

    assert result.exit_code == 3
    assert outcomes(result) == ["requeued", "refused"]
    assert "BulkChangeId" in result.json["letters"][1]["detail"]
    assert states(world) == ["requeued", "open"]


def test_discard_needs_a_reason_and_restore_takes_it_back(world: World) -> None:
    bury(world)
    before = world.everything()
    assert world.run("dead-letter", "discard", "1", "-o", "json").exit_code == 2
    assert world.run("dead-letter", "discard", "1", "--reason", "  ", "-o", "json").exit_code == 2
    assert world.everything() == before

    assert world.run("dead-letter", "discard", "1", "--reason", "test data").exit_code == 0
    assert letters(world)["k-1"]["change_reason"] == "test data"
    shown = world.run("dead-letter", "show", "1", "-o", "json").json
    assert shown["expires"] is not None
    assert shown["next"] == "pondctl dead-letter restore 1"
    assert world.run("dead-letter", "restore", "1").exit_code == 0
    assert states(world) == ["open"]
    assert [each.get("event") for each in history(letters(world)["k-1"])] == [None, "discarded", "restored"]
    assert world.run("dead-letter", "restore", "1").exit_code == 3


def test_a_requeued_letter_is_not_restored(world: World) -> None:
    bury(world)
    world.run("dead-letter", "requeue", "1")

    assert world.run("dead-letter", "restore", "1", "-o", "json").exit_code == 3
    assert len(queued(world)) == 1


@pytest.mark.parametrize("verb", ["requeue", "discard", "restore"])
def test_neither_ids_nor_a_filter_is_usage(world: World, verb: str) -> None:
    bury(world)
    before = world.everything()

    for words in ([], ["--yes"], ["1", "--bulk-change", "42"]):
        result = world.run("dead-letter", verb, *words, "--reason", "x", "-o", "json")
        assert (result.exit_code, result.json["error"]["code"]) == (2, "usage")
    assert world.everything() == before


@pytest.mark.parametrize("verb", ["requeue", "discard", "restore"])
@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize(
    ("count", "words", "plain", "guarded"),
    [
        (10, [], 0, 0),
        (11, [], 2, 2),
        (11, ["--yes"], 0, 2),
        (11, ["--yes", "--confirm", "p"], 0, 0),
        (11, ["--confirm", "p"], 0, 0),
        (11, ["--yes", "--confirm", "other"], 2, 2),
        (1, ["--confirm", "other"], 2, 2),
        (11, ["--dry-run"], 0, 0),
    ],
)
def test_more_than_ten_need_a_word(
    world: World,
    tmp_path: Any,
    verb: str,
    protected: bool,
    count: int,
    words: list[str],
    plain: int,
    guarded: int,
) -> None:
    config = tmp_path / "pondctl.toml"
    config.write_text(f'default_profile = "p"\n[profiles.p]\nprotected = {str(protected).lower()}\n')
    config.chmod(0o600)
    bury(world, count)
    if verb == "restore":
        world.execute(f"UPDATE {world.own_name('dead_letter')} SET state = 'discarded'")
    before = world.everything()

    result = world.run("--config", config, "dead-letter", verb, "--bulk-change", 42, "--reason", "x", *words)

    code = guarded if protected else plain
    assert result.exit_code == code, result.stderr
    if code == 2 or "--dry-run" in words:
        assert world.everything() == before
    else:
        assert before["pondctl_dead_letter" if "sqlite" in world.url else "pondctl.dead_letter"] != world.own(
            "dead_letter"
        )
    if count > 10 and code == 2 and "other" not in words:
        assert "11 dead letters of 1 bulk change (11 max_receives" in result.stderr
        assert ("--confirm p" if protected else "--yes") in result.stderr


@pytest.mark.parametrize(
    "words", [["requeue", "--set", "RetryNumber=0"], ["discard", "--reason", "x"], ["restore"]]
)
def test_a_dry_run_writes_nothing(
    world: World, sqs: SqsServer, queues: tuple[str, str], words: list[str]
) -> None:
    bury(world, 3, source_queue=queues[0])
    if words == ["restore"]:
        world.execute(f"UPDATE {world.own_name('dead_letter')} SET state = 'discarded'")
    before = world.everything()

    result = world.run("dead-letter", *words, "--bulk-change", 42, "--dry-run", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert result.json["dry_run"] is True
    assert sum(result.json["counts"].values()) == 3
    assert world.everything() == before
    assert not sqs.queue(queues[0]).messages


def test_a_viewer_may_look_and_do_nothing(world: World) -> None:
    bury(world)
    role = {"PONDCTL_ACCESS__ROLE": "viewer"}

    assert world.run("dead-letter", "list", **role).exit_code == 0
    assert world.run("dead-letter", "show", "1", **role).exit_code == 0
    assert world.run("dead-letter", "requeue", "1", "--dry-run", **role).exit_code == 0
    for words in (["requeue", "1"], ["discard", "1", "--reason", "x"], ["restore", "1"], ["pull"]):
        assert world.run("dead-letter", *words, **role).exit_code == 4
    assert states(world) == ["open"]


def test_letters_of_other_service_providers_are_left_alone(world: World) -> None:
    theirs, mine = world.given(ICCIDS[0], provider=9), world.given(ICCIDS[1], provider=2)
    bury(world, key="a", bulk_change_id=theirs)
    bury(world, key="b", bulk_change_id=mine)

    result = world.run("dead-letter", "requeue", "1", "2", "-o", "json",
                       PONDCTL_ACCESS__SERVICE_PROVIDER_IDS="[2]")  # fmt: skip

    assert result.exit_code == 3
    assert outcomes(result) == ["refused", "requeued"]
    assert "service provider 9" in result.json["letters"][0]["detail"]

    [letter] = bury(world, key="c", bulk_change_id=None, attributes={})
    moved = world.run("dead-letter", "requeue", letter, "--set", f"BulkChangeId={theirs}", "-o", "json",
                      PONDCTL_ACCESS__SERVICE_PROVIDER_IDS="[2]")  # fmt: skip
    assert outcomes(moved) == ["refused"]
    assert [message["bulk_change_id"] for message in queued(world)] == [mine]


def test_a_message_that_no_worker_here_would_take_is_warned_about(world: World) -> None:
    [letter] = bury(world, bulk_change_id=None, attributes={})
    words = ("dead-letter", "requeue", letter, "--dry-run", "--set", f"BulkChangeId={world.given(ICCIDS[0])}")

    assert "IsRetryNewActivateThingSpaceDevice is not set" in world.run(*words).stderr
    flagged = world.run(*words, "--set", "IsRetryNewActivateThingSpaceDevice=True")
    assert (flagged.exit_code, "warning" in flagged.stderr) == (0, False)
    nowhere = world.run("dead-letter", "requeue", letter, "--dry-run", "--set", "BulkChangeId=4711")
    assert "4711 does not exist: the message will die again" in nowhere.stderr


def test_the_third_requeue_for_the_same_error_is_warned_about(world: World) -> None:
    bury(world, key="k-0")
    for number in range(1, 4):
        result = world.run("dead-letter", "requeue", number)
        assert ("for the same error" in result.stderr) == (number == 3), result.stderr
        message = queued(world)[-1]
        bury(world, key=message["message_key"], lineage=message["ours"]["lineage"][0], body=message["body"])

    assert "requeued 3 times for the same error" in world.run("dead-letter", "show", "4").stdout
    assert len(queued(world)[-1]["ours"]["lineage"]) == 3


def test_a_check_of_an_ended_bulk_change_is_warned_about(world: World) -> None:
    row = {"ICCID": ICCIDS[0], "Status": "API_FAILED", "IsProcessed": True, "HasErrors": True}
    bulk = world.given(row, Status="ERROR")
    [letter] = bury(world, bulk_change_id=bulk, category="retries_exhausted")

    assert f"pondctl retry-failed {bulk}" in world.run("dead-letter", "show", letter).stdout
    assert f"pondctl retry-failed {bulk}" in world.run("dead-letter", "requeue", letter).stderr


@pytest.mark.parametrize("field", ["body", "attributes", "category", "reason", "lineage", "attempts"])
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_hostile_data_controls_no_terminal(world: World, field: str, form: str) -> None:
    value: Any = {"attributes": {"BulkChangeId": "42", HOSTILE: HOSTILE}, "attempts": ({"reason": HOSTILE},)}
    bury(world, **{field: value.get(field, HOSTILE)})

    for words in (["list"], ["show", "1"], ["requeue", "1"]):
        result = world.run("dead-letter", *words, "-o", form)
        text = result.stdout + result.stderr
        assert result.exit_code in (0, 3), text
        assert not set(text) & set("\x1b\x07\u202e\r"), text


# The queue at the other side


def test_pull_moves_the_dead_letter_queue_into_the_inbox(
    world: World, sqs: SqsServer, queues: tuple[str, str]
) -> None:
    dead = queues[1]
    bulk = world.given(ICCIDS[0])
    for number in range(25):
        put_in_queue(sqs, dead, {"BulkChangeId": str(bulk), "RetryNumber": str(number)})
    put_in_queue(sqs, dead, {"Nonsense": "1"}, HOSTILE.replace("\x1b", "").replace("\x07", ""))
    assert "26 messages still in bulk-dlq: the next one expires within 4 days" in (
        world.run("dead-letter", "list").stderr
    )

    result = world.run("dead-letter", "pull", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert result.json["received"] == result.json["new"] == 26
    assert not sqs.queue(dead).messages
    assert len(letters(world)) == 26
    assert {row["category"] for row in letters(world).values()} == {"max_receives", "invalid_message"}
    assert "still in" not in world.run("dead-letter", "list").stderr
    assert world.run("dead-letter", "pull", "-o", "json").json["received"] == 0


def test_pull_is_a_note_with_the_embedded_queue(world: World) -> None:
    result = world.run("dead-letter", "pull")

    assert result.exit_code == 0
    assert "nothing to pull" in result.stderr


def test_pulled_twice_a_message_is_one_letter(world: World, sqs: SqsServer, queues: tuple[str, str]) -> None:
    put_in_queue(sqs, queues[1], {"BulkChangeId": "42"})
    sqs.denied.add("DeleteMessageBatch")
    assert world.run("dead-letter", "pull").exit_code == 4
    assert len(letters(world)) == 1
    assert len(sqs.queue(queues[1]).messages) == 1, "it is not lost"
    sqs.denied.clear()
    for message in sqs.queue(queues[1]).messages.values():
        sqs.queue(queues[1]).change(f"{message.id}/{message.receives}", 0)

    result = world.run("dead-letter", "pull", "-o", "json")

    assert (result.json["new"], result.json["known"]) == (0, 1)
    assert len(letters(world)) == 1
    assert not sqs.queue(queues[1]).messages


def test_two_messages_under_one_key_are_two_letters(
    world: World, sqs: SqsServer, queues: tuple[str, str]
) -> None:
    body = '{"pondctl": {"key": "same"}}'
    put_in_queue(sqs, queues[1], {"BulkChangeId": "42"}, body)
    put_in_queue(sqs, queues[1], {"BulkChangeId": "43"}, body)
    put_in_queue(sqs, queues[1], {"BulkChangeId": "42"}, body)

    world.run("dead-letter", "pull")

    assert sorted(row["bulk_change_id"] for row in letters(world).values()) == [42, 43]


@pytest.mark.parametrize("action", ["ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes"])
def test_without_a_permission_pull_loses_nothing(
    world: World, sqs: SqsServer, queues: tuple[str, str], action: str
) -> None:
    put_in_queue(sqs, queues[1], {"BulkChangeId": "42"})
    sqs.denied.add(action)

    result = world.run("dead-letter", "pull")

    assert result.exit_code == (0 if action == "GetQueueAttributes" else 4), result.stderr
    assert letters(world) or sqs.queue(queues[1]).messages


def test_without_the_permission_to_send_the_letter_is_in_the_outbox(
    world: World, sqs: SqsServer, queues: tuple[str, str]
) -> None:
    bury(world, 2, source_queue=queues[0])
    sqs.denied.add("SendMessageBatch")

    result = world.run("dead-letter", "requeue", "1", "2", "-o", "json")

    assert result.exit_code == 4, result.stderr
    assert states(world) == ["requeued", "requeued"]
    assert [row["state"] for row in queued(world)] == ["waiting", "waiting"]


def test_what_the_queue_did_not_take_is_kept_and_said(
    world: World, sqs: SqsServer, queues: tuple[str, str]
) -> None:
    bury(world, 3, source_queue=queues[0])
    sqs.refuse_entry = lambda action, entry: entry["Id"] == "1"

    result = world.run("dead-letter", "requeue", "1", "2", "3", "-o", "json")

    assert result.exit_code == 7
    assert result.json["in_outbox"] == 1
    assert len(sqs.queue(queues[0]).messages) == 2
    assert sorted(row["state"] for row in queued(world)) == ["sent", "sent", "waiting"]


def test_a_letter_goes_back_to_the_queue_it_died_in(
    world: World, sqs: SqsServer, queues: tuple[str, str]
) -> None:
    other = sqs.create("other")
    put_in_queue(sqs, queues[1], {"BulkChangeId": "42"}, source="arn:aws:sqs:us-east-1:000000000000:other")
    put_in_queue(sqs, queues[1], {"BulkChangeId": "43"}, source="arn:aws:sqs:us-east-1:000000000000:bulk")
    put_in_queue(sqs, queues[1], {"BulkChangeId": "44"})
    bury(world, key="embedded")
    world.run("dead-letter", "pull")

    result = world.run("dead-letter", "requeue", "1", "2", "3", "4", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert len(sqs.queue(other).messages) == 1
    assert len(sqs.queue(queues[0]).messages) == 3
    [message] = sqs.queue(other).messages.values()
    assert ours(message.body)["lineage"] == ["bulk-dlq-00000001"]


def test_a_move_by_aws_is_named_and_nothing_is_done(
    world: World, sqs: SqsServer, queues: tuple[str, str]
) -> None:
    bury(world, source_queue=queues[0])
    put_in_queue(sqs, queues[1], {"BulkChangeId": "42"})
    sqs.moves["bulk-dlq"] = [
        {"Status": "RUNNING", "TaskHandle": "task-7", "ApproximateNumberOfMessagesMoved": 3},
        {"Status": "COMPLETED"},
    ]
    before = world.everything()

    for words in (["pull"], ["requeue", "1"]):
        result = world.run("dead-letter", *words, "-o", "json")
        assert result.exit_code == 6
        assert "task-7" in result.json["error"]["message"]
    assert world.everything() == before
    sqs.moves.clear()
    sqs.denied.add("ListMessageMoveTasks")
    unknown = world.run("dead-letter", "pull")
    assert unknown.exit_code == 0
    assert "is not known" in unknown.stderr


def test_the_worker_pulls_by_itself(world: World, sqs: SqsServer, queues: tuple[str, str]) -> None:
    put_in_queue(sqs, queues[1], {"BulkChangeId": "42"})

    result = world.run("worker", "--once")

    assert result.exit_code == 0, result.stderr
    assert len(letters(world)) == 1
    assert not sqs.queue(queues[1]).messages


def test_the_rate_is_kept(world: World, sqs: SqsServer, queues: tuple[str, str]) -> None:
    import time

    bury(world, 6, source_queue=queues[0])
    began = time.monotonic()

    result = world.run("dead-letter", "requeue", "--bulk-change", 42, "--rps", 4, "-o", "jsonl")

    assert result.exit_code == 0, result.stderr
    assert time.monotonic() - began > 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each.get("outcome") for each in lines] == ["requeued"] * 6 + [None]
    assert lines[-1]["summary"]["counts"] == {"requeued": 6}


def test_review_without_a_terminal_names_the_plain_commands(world: World) -> None:
    result = world.run("dead-letter", "review")

    assert result.exit_code == 2
    assert "pondctl dead-letter list" in result.stderr
