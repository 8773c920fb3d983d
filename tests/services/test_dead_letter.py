"""What a dead letter becomes when it is queued again, and what an edit may do to it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondctl.clients.message import parse
from pondctl.db.records import DeadLetter
from pondctl.errors import ExitCode, MessageError, QueueUnavailableError, UsageError
from pondctl.models import EMBEDDED_QUEUE
from pondctl.services.dead_letters.edit import Edit, read_edit, successor, trouble_of
from pondctl.services.dead_letters.pull import source_url
from pondctl.services.dead_letters.result import Became, DeskResult, Settled

WHEN = datetime(2026, 11, 20, 8, 0)
ATTRIBUTES = {"BulkChangeId": "42", "RetryNumber": "3"}
SQS = "https://sqs.us-east-1.amazonaws.com/111122223333/bulk"
DEAD = SQS + "-dlq"


def letter(**fields: Any) -> DeadLetter:
    values: dict[str, Any] = {
        "id": 7,
        "key": "old",
        "source_queue": EMBEDDED_QUEUE,
        "source_message_id": None,
        "lineage": None,
        "bulk_change_id": 42,
        "retry_number": 3,
        "receive_count": 5,
        "body": "Not used",
        "attributes": ATTRIBUTES,
        "category": "max_receives",
        "reason": "too often",
        "attempts": (),
        "state": "open",
        "requeue_count": 0,
        "created_at": WHEN,
        "expires_at": None,
        "changed_at": WHEN,
        "changed_by": None,
        "change_reason": None,
    }
    return DeadLetter(**values | fields)


def ours(body: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)["pondctl"]
    return found


def queue_again(dead: DeadLetter, edit: Edit | None = None, queue: str = SQS) -> Any:
    return successor(dead, edit or Edit(), key="new", queue=queue)


def test_the_budgets_begin_anew_and_the_line_goes_on() -> None:
    body = json.dumps({"pondctl": {"key": "old", "lineage": ["first"], "stalled": 5, "later": {"a": 1},
                                   "pending_since": "2026-11-18T08:00:00Z"}})  # fmt: skip

    found = queue_again(letter(body=body, lineage="first"))

    checked = parse(found.message.attributes, found.message.body)
    assert checked.envelope.key == "new"
    assert checked.envelope.lineage == ("first", "old")
    assert (checked.envelope.stalled, checked.envelope.pending_since) == (0, None)
    assert ours(found.message.body)["later"] == {"a": 1}, "what a newer version wrote is kept"
    assert (found.message.lineage, found.message.retry_number) == ("old", 3)
    assert found.changes == {}


def test_the_line_keeps_its_first_and_its_latest_members() -> None:
    body = json.dumps({"pondctl": {"key": "old", "lineage": [f"k{number}" for number in range(40)]}})

    lineage = ours(queue_again(letter(body=body)).message.body)["lineage"]

    assert (lineage[0], lineage[-1], len(lineage)) == ("k0", "old", 17)


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        ("Not used", {}),
        ('{"note": [1, "x"]}', {"note": [1, "x"]}),
        ('{"note": NaN}', {}),
        ("[1, 2]", {}),
        ("{broken", {}),
    ],
)
def test_what_else_a_json_body_holds_is_kept(body: str, rest: dict[str, Any]) -> None:
    document = json.loads(queue_again(letter(body=body)).message.body)

    assert document.pop("pondctl")["key"] == "new"
    assert document == rest


def test_a_carriers_notification_goes_back_as_it_came() -> None:
    body = '{"deviceIds": [{"id": "89148000001234567898", "kind": "iccid"}]}'

    message = queue_again(letter(body=body, attributes={}, bulk_change_id=None)).message

    assert (message.body, message.attributes, message.bulk_change_id) == (body, {}, None)


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({}, "BulkChangeId"),
        ({"BulkChangeId": "0"}, "BulkChangeId"),
        (ATTRIBUTES | {"retrynumber": "1"}, "RetryNumber"),
        (ATTRIBUTES | {"RetryNumber": "-1"}, "RetryNumber"),
        (ATTRIBUTES | {f"x{number}": "1" for number in range(9)}, "attributes"),
        (ATTRIBUTES | {"Note": ""}, "Note"),
        (ATTRIBUTES | {"Note": "\x00"}, "Note"),
        (ATTRIBUTES | {"Weight:Binary": "?"}, "Weight"),
    ],
)
def test_what_would_die_again_is_refused_with_the_field(attributes: dict[str, str], field: str) -> None:
    with pytest.raises(MessageError) as caught:
        queue_again(letter(attributes=attributes))

    assert caught.value.field == field


def test_an_edit_mends_what_could_not_be_read() -> None:
    dead = letter(attributes={"BulkChangeId": "x", "Weight:Number": "7"})
    assert trouble_of(dead) is not None

    found = queue_again(dead, read_edit(["bulkchangeid=43"], []))

    assert found.message.bulk_change_id == 43
    assert found.message.attributes == {"BulkChangeId": "43", "Weight:Number": "7"}
    assert found.changes == {"BulkChangeId": ("x", "43")}


def test_an_edit_that_changes_nothing_leaves_no_difference() -> None:
    assert queue_again(letter(), read_edit(["RetryNumber=3"], [])).changes == {}


def test_an_edit_keeps_equal_signs_and_blanks_of_the_value() -> None:
    assert read_edit(["RequestId=a = b "], ["Weight"]).values == {"RequestId": "a = b ", "Weight": None}


@pytest.mark.parametrize(
    ("given_", "removed"), [(["x"], []), (["=1"], []), (["A=1", "a=2"], []), (["A=1"], ["a"])]
)
def test_an_edit_that_can_mean_two_things_is_refused(given_: list[str], removed: list[str]) -> None:
    with pytest.raises(UsageError):
        read_edit(given_, removed)


@given(
    attributes=st.dictionaries(st.text(max_size=20), st.text(max_size=30), max_size=12),
    body=st.one_of(st.text(max_size=200), st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=10)),
        lambda inner: st.dictionaries(st.sampled_from(["pondctl", "key", "lineage", "x"]), inner, max_size=3),
    ).map(json.dumps)),
)  # fmt: skip
def test_whatever_a_letter_holds_it_is_refused_or_can_be_read(attributes: dict[str, str], body: str) -> None:
    try:
        found = queue_again(letter(attributes=ATTRIBUTES | attributes, body=body))
    except MessageError:
        return
    assert parse(found.message.attributes, found.message.body).envelope.key == "new"


@pytest.mark.parametrize(
    ("arn", "default", "url"),
    [
        (None, SQS, SQS),
        ("arn:aws:sqs:us-east-1:111122223333:bulk", SQS, SQS),
        ("arn:aws:sqs:us-east-1:111122223333:other", SQS, SQS.replace("bulk", "other")),
        ("arn:aws:sqs:us-east-1:111122223333:bulk", EMBEDDED_QUEUE, SQS),
        ("nonsense", SQS, SQS),
    ],
)
def test_the_queue_that_a_letter_died_in_is_found(arn: str | None, default: str, url: str) -> None:
    assert source_url(arn, DEAD, default) == url


def test_the_exit_code_tells_the_worst() -> None:
    result = DeskResult("dead-letter requeue", dry_run=False)
    assert result.exit_code == ExitCode.OK
    result.letters.append(Settled(1, Became.CONFLICT))
    assert (result.exit_code, result.status) == (ExitCode.PARTIAL, "partial")
    result.trouble = QueueUnavailableError("away")
    assert (result.exit_code, result.status) == (ExitCode.UNAVAILABLE, "error")
    assert DeskResult("x", dry_run=True, letters=[Settled(1, Became.CONFLICT)]).exit_code == ExitCode.OK
