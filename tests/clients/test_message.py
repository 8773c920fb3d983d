from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.clients.attributes import MAX_MESSAGE_BYTES, check_sendable, split_label
from pondctl.clients.callback import CarrierHint
from pondctl.clients.envelope import MAX_CARRIED_BYTES, Envelope, parse_envelope
from pondctl.clients.message import INT64, CheckMessage, next_check, parse, parse_any
from pondctl.errors import ExitCode, MessageError
from tests.long_form import LONG

KNOWN = (
    "BulkChangeId",
    "M2MDeviceChangeId",
    "IsRetryNewActivateThingSpaceDevice",
    "IsFromAutomatedUpdateDeviceStatusLambda",
    "IsRetryUpdateIdentifier",
    "RetryNumber",
    "RequestId",
)
# What the existing producer puts on an ordinary message, with one of its optional pairs: ten.
PRODUCED = {
    "BulkChangeId": "42",
    "M2MDeviceChangeId": "7",
    "IsFromAutomatedUpdateDeviceStatusLambda": "False",
    "IsRetryUpdateIdentifier": "True",
    "RetryNumber": "3",
    "RequestId": "11111111-2222-4333-8444-555555555555",
    "AdditionBulkChangeId": "43",
    "NewServiceActivations": "False",
    "CarrierRatePool": "pool",
    "CarrierDataGroup": "group",
}


def given_by_sqs(attributes: dict[str, str], data_type: str = "String") -> dict[str, Any]:
    return {name: {"StringValue": text, "DataType": data_type} for name, text in attributes.items()}


def given_by_lambda(attributes: dict[str, str]) -> dict[str, Any]:
    empty = {"stringListValues": [], "binaryListValues": []}
    return {name: {"stringValue": text, "dataType": "String", **empty} for name, text in attributes.items()}


@pytest.mark.parametrize("shape", [dict, given_by_sqs, given_by_lambda])
def test_a_message_of_the_existing_producer_is_read_in_every_shape(shape: Any) -> None:
    message = parse(shape(PRODUCED), "Not used")

    assert message.bulk_change_id == 42
    assert message.m2m_device_change_id == 7
    assert message.retry_number == 3
    assert message.request_id == "11111111-2222-4333-8444-555555555555"
    assert message.is_retry_update_identifier
    assert not message.is_from_automated_update_device_status_lambda
    assert not message.is_retry_new_activate_thingspace_device
    assert message.attributes == PRODUCED
    assert message.body == "Not used"
    assert message.envelope == Envelope()


def test_absent_attributes_have_the_defaults_of_the_existing_consumer() -> None:
    message = parse({"BulkChangeId": "1"}, "")

    assert message.retry_number == 0
    assert message.m2m_device_change_id is None
    assert message.request_id is None
    assert not message.is_retry_new_activate_thingspace_device


@pytest.mark.parametrize("name", ["bulkchangeid", "BULKCHANGEID", "BulkChangeID"])
def test_names_are_matched_in_any_letter_case(name: str) -> None:
    assert parse({name: "9"}, "x").bulk_change_id == 9


@pytest.mark.parametrize(
    ("text", "flag"), [("True", True), ("true", True), ("TRUE", True), ("False", False), ("fALSE", False)]
)
def test_booleans_are_read_without_case(text: str, flag: bool) -> None:
    message = parse({"BulkChangeId": "1", "IsRetryNewActivateThingSpaceDevice": text}, "x")

    assert message.is_retry_new_activate_thingspace_device is flag


def test_a_number_attribute_is_read_and_goes_on_as_a_string() -> None:
    message = parse(given_by_sqs({"BulkChangeId": "5", "RetryNumber": "1"}, "Number"), "x")

    assert (message.bulk_change_id, message.retry_number) == (5, 1)
    assert message.attributes == {"BulkChangeId:Number": "5", "RetryNumber:Number": "1"}
    following = next_check(message, 5, key="k").attributes
    assert following["BulkChangeId"] == "5"
    assert following["RetryNumber"] == "2"
    assert following["IsRetryNewActivateThingSpaceDevice"] == "True"


@pytest.mark.parametrize("text", ["1", str(INT64)])
def test_a_bulk_change_id_may_use_the_whole_int64(text: str) -> None:
    assert parse({"BulkChangeId": text}, "x").bulk_change_id == int(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("BulkChangeId", text)
            for text in ("", "0", "-1", "+1", " 1", "1\n", "1.0", "0x1", "1e3", "١", "１", "abc")  # noqa: RUF001
        ),
        ("BulkChangeId", str(INT64 + 1)),
        ("BulkChangeId", "9" * 5000),
        ("M2MDeviceChangeId", str(INT64 + 1)),
        ("M2MDeviceChangeId", "-1"),
        ("RetryNumber", str(2**31)),
        ("RetryNumber", "-1"),
        ("IsRetryNewActivateThingSpaceDevice", "1"),
        ("IsRetryUpdateIdentifier", ""),
        ("IsFromAutomatedUpdateDeviceStatusLambda", "yes"),
        ("RequestId", "x" * 257),
    ],
)
def test_a_value_out_of_bounds_names_its_attribute_and_does_not_repeat_it(name: str, text: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse({"BulkChangeId": "1"} | {name: text}, "x")

    assert caught.value.field == name
    assert caught.value.code == "invalid_message"
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.message.isascii()
    assert len(text) < 3 or text not in caught.value.message


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({}, "BulkChangeId"),
        ({"RetryNumber": "1"}, "BulkChangeId"),
        ({"BulkChangeId": "1", "bulkchangeid": "1"}, "BulkChangeId"),
        ({"BulkChangeId": {"DataType": "Binary", "BinaryValue": b"1"}}, "BulkChangeId"),
        ({"BulkChangeId": {"DataType": "String"}}, "BulkChangeId"),
        ({"BulkChangeId": 42}, "BulkChangeId"),
        ({"BulkChangeId": None}, "BulkChangeId"),
        ({"BulkChangeId": "1", "x": {"DataType": "Blob", "StringValue": "1"}}, "x"),
        ({"BulkChangeId": "1", "no blanks": "1"}, "attributes"),
        ({"BulkChangeId": "1", "\x1b[31m": "1"}, "attributes"),
        ({"BulkChangeId": "1", "x": "1", "x:Number": "1"}, "attributes"),
        ({"BulkChangeId": "1"} | {f"a{n}": "1" for n in range(10)}, "attributes"),
        ({"BulkChangeId": "1", "x": "y" * (MAX_CARRIED_BYTES + 1)}, "attributes"),
        ({"BulkChangeId": "1", "x": "\ud800"}, "x"),
        (None, "message"),
        ([], "message"),
    ],
)
def test_attributes_that_cannot_be_are_refused(attributes: Any, field: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse(attributes, "x")

    assert caught.value.field == field


def test_a_binary_attribute_with_no_meaning_to_us_is_carried_along() -> None:
    raw = {"DataType": "Binary.gzip", "BinaryValue": b"\x00\xff"}
    message = parse(given_by_sqs({"BulkChangeId": "1"}) | {"Blob": raw}, "x")

    assert message.attributes["Blob:Binary.gzip"] == "AP8="


@pytest.mark.parametrize(
    "body", ["Not used", "", "{", "[]", "null", '{"a": "pondctl"}', "[" * 100_000, "\x00"]
)
def test_any_other_body_is_free_text(body: str) -> None:
    message = parse({"BulkChangeId": "1"}, body)

    assert message.body == body
    assert message.envelope == Envelope()


@pytest.mark.parametrize(
    "inside",
    [
        "null",
        "[]",
        '"text"',
        '{"key": 1}',
        '{"key": ""}',
        '{"key": "a b"}',
        '{"key": "a\\n"}',
        '{"stalled": "1"}',
        '{"stalled": -1}',
        '{"stalled": true}',
        '{"not_before": 5}',
        '{"not_before": "tomorrow"}',
        '{"pending_since": "0001-01-01T00:00:00+23:59"}',
        '{"lineage": "abc"}',
        '{"lineage": [1]}',
        '{"attributes": {"RetryNumber": "9"}}',
        '{"attributes": {"retrynumber": "9"}}',
        '{"attributes": {"Known": "9"}}',
        '{"attributes": {"a b": "9"}}',
        '{"extra": 1e999}',
        '{"extra": NaN}',
        '{"extra": "' + "x" * MAX_CARRIED_BYTES + '"}',
        '{"extra": "\\ud800"}',
        '{"lineage": ' + json.dumps(["k"] * 65) + "}",
        '{"deep": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"deep": ' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}",
        '{"cut": ',
    ],
)
def test_a_broken_envelope_is_an_error_and_never_taken_for_free_text(inside: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse({"BulkChangeId": "1", "Known": "1"}, '{"pondctl": ' + inside + "}")

    assert caught.value.field.startswith("body")


def test_a_body_longer_than_sqs_takes_is_refused() -> None:
    assert parse({"BulkChangeId": "1"}, "x" * (MAX_MESSAGE_BYTES - 100))
    with pytest.raises(MessageError):
        parse({"BulkChangeId": "1"}, "ü" * (MAX_MESSAGE_BYTES // 2))


def test_the_next_check_keeps_every_attribute_of_its_cause() -> None:
    cause = parse(PRODUCED, "Not used")

    following = next_check(cause, 42, key="k1")

    assert following.retry_number == 4
    assert following.is_retry_new_activate_thingspace_device
    assert len(following.attributes) == 10
    carried = {**following.attributes, **following.envelope.attributes}
    assert PRODUCED.items() - carried.items() == {("RetryNumber", "3")}
    # The eleventh rides in the body: it means nothing to a status check, and comes back from there.
    assert following.envelope.attributes == {"CarrierDataGroup": "group"}
    after = next_check(following, 42, key="k2")
    assert {**after.attributes, **after.envelope.attributes} == carried | {"RetryNumber": "5"}


def test_the_next_check_writes_names_exactly_however_its_cause_spelt_them() -> None:
    cause = parse(
        {
            "bulkchangeid": "1",
            "retryNUMBER:Number": "1",
            "isretrynewactivatethingspacedevice": "false",
            "somebodyElses": "as it is",
        },
        "x",
    )

    assert next_check(cause, 1, key="k").attributes == {
        "BulkChangeId": "1",
        "RetryNumber": "2",
        "IsRetryNewActivateThingSpaceDevice": "True",
        "somebodyElses": "as it is",
    }


def test_a_run_by_hand_sends_check_number_one_with_the_flag() -> None:
    assert next_check(None, 42, key="k").attributes == {
        "BulkChangeId": "42",
        "RetryNumber": "1",
        "IsRetryNewActivateThingSpaceDevice": "True",
    }


def test_a_run_that_ended_early_queues_the_same_number_again() -> None:
    assert next_check(parse(PRODUCED, "x"), 42, key="k", retry_number=3).retry_number == 3


def test_checks_are_counted_on_while_the_count_of_stalled_ones_starts_again() -> None:
    troubled = next_check(parse(PRODUCED, "x"), 42, key="k1", stalled=4)

    after_progress = next_check(troubled, 42, key="k2", stalled=0)

    assert (troubled.retry_number, troubled.envelope.stalled) == (4, 4)
    assert (after_progress.retry_number, after_progress.envelope.stalled) == (5, 0)


def test_the_number_of_a_check_stops_at_the_end_of_int32() -> None:
    cause = parse({"BulkChangeId": "1", "RetryNumber": str(2**31 - 1)}, "x")

    assert next_check(cause, 1, key="k").retry_number == 2**31 - 1


def test_the_envelope_travels_in_the_body_and_comes_back_the_same() -> None:
    since = datetime(2026, 11, 23, 10, 0, 0, 123456)

    message = next_check(None, 42, key="k", stalled=2, pending_since=since, not_before=since)
    received = parse(given_by_sqs(message.attributes), message.body)

    assert json.loads(message.body)["pondctl"] == {
        "key": "k",
        "not_before": "2026-11-23T10:00:00.123456Z",
        "pending_since": "2026-11-23T10:00:00.123456Z",
        "stalled": 2,
    }
    assert received.envelope == message.envelope
    assert received.envelope.pending_since == since


def test_times_with_an_offset_are_read_as_utc() -> None:
    envelope = parse_envelope('{"pondctl": {"not_before": "2026-11-23T12:00:00+02:00"}}')

    assert envelope.not_before == datetime(2026, 11, 23, 10)


def test_the_lineage_keeps_the_first_ancestor_and_the_latest() -> None:
    message = next_check(None, 1, key="k0")
    for number in range(1, 100):
        message = next_check(message, 1, key=f"k{number}")

    assert message.envelope.key == "k99"
    assert message.envelope.lineage == ("k0", *(f"k{number}" for number in range(83, 99)))
    assert len(message.body) < 1000


def test_fields_of_a_newer_version_are_carried_along() -> None:
    cause = parse({"BulkChangeId": "1"}, '{"pondctl": {"redrives": [1, {"a": null}]}}')

    assert json.loads(next_check(cause, 1, key="k").body)["pondctl"]["redrives"] == [1, {"a": None}]


def test_without_a_bulk_change_id_the_body_may_be_a_notification() -> None:
    body = json.dumps({"deviceIds": [{"id": "89148000001234567898", "kind": "Iccid"}]})

    assert isinstance(parse_any({}, body), CarrierHint)
    assert isinstance(parse_any({"BulkChangeId": "1"}, body), CheckMessage)
    with pytest.raises(MessageError, match="BulkChangeId: is missing"):
        parse_any({"RetryNumber": "1"}, "Not used")
    with pytest.raises(MessageError, match="BulkChangeId: "):
        parse_any({"BulkChangeId": "x"}, body)


any_case = st.sampled_from(KNOWN).flatmap(
    lambda name: st.sampled_from([name, name.lower(), name.upper(), f"{name}:Number"])
)
names = any_case | st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True) | st.text(max_size=8)
texts = (
    st.sampled_from(["True", "false", "1", "42", "0", "-1", str(INT64), str(INT64 + 1), "", "１"])  # noqa: RUF001
    | st.integers(0, 2**70).map(str)
    | st.text(max_size=20)
    | st.text(alphabet=st.characters(), max_size=5)
)
shapes = (
    texts
    | st.builds(lambda text: {"StringValue": text, "DataType": "String"}, texts)
    | st.builds(lambda text: {"stringValue": text, "dataType": "Number.int"}, texts)
    | st.builds(lambda raw: {"BinaryValue": raw, "DataType": "Binary"}, st.binary(max_size=8))
    | st.dictionaries(st.sampled_from(["StringValue", "DataType", "binaryValue"]), st.none() | st.integers())
    | st.none()
    | st.integers()
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
envelope_fields = st.sampled_from(
    ["key", "lineage", "not_before", "pending_since", "stalled", "attributes", "x"]
)
envelopes = st.dictionaries(
    envelope_fields, json_values | st.dictionaries(names, texts, max_size=3), max_size=4
).map(lambda inside: json.dumps({"pondctl": inside}))
bodies = (
    st.text(max_size=30) | json_values.map(json.dumps) | envelopes | envelopes.map(lambda text: text[:-3])
)


hostile = st.dictionaries(names, shapes, max_size=12)
likely = st.fixed_dictionaries({"BulkChangeId": st.just("1")}, optional=dict.fromkeys(KNOWN[1:], texts))
nearly = st.fixed_dictionaries({"BulkChangeId": st.just("1")}, optional={"x": shapes})


@settings(max_examples=3000 if LONG else 300, deadline=None)
@given(attributes=hostile | likely | nearly, body=bodies)
def test_no_input_crashes_the_parser(attributes: dict[str, Any], body: str) -> None:
    reason = ""
    try:
        parse_any(attributes, body)
    except MessageError as error:
        reason = error.message

    assert reason.isprintable()


plain = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)
unknown = st.from_regex(r"x[A-Za-z0-9_-]{1,8}(:Number|:String\.odd)?", fullmatch=True)
valid_attributes = st.fixed_dictionaries(
    {"BulkChangeId": st.integers(1, INT64).map(str)},
    optional={
        "M2MDeviceChangeId": st.integers(0, INT64).map(str),
        "isretryNEWactivatethingspacedevice": st.sampled_from(["true", "False"]),
        "RetryNumber:Number": st.integers(0, 2**31 - 1).map(str),
        "RequestId": plain,
    },
)
carried_fields = st.fixed_dictionaries(
    {},
    optional={
        "attributes": st.dictionaries(unknown.map("y".__add__), plain, max_size=10),
        "lineage": st.lists(st.from_regex(r"[0-9a-f-]{1,36}", fullmatch=True), max_size=64),
        "newer": json_values,
    },
)


@settings(max_examples=500 if LONG else 100, deadline=None)
@given(
    known=valid_attributes,
    others=st.dictionaries(unknown, plain, max_size=9),
    carried=carried_fields,
    data=st.data(),
)
def test_what_can_be_parsed_can_always_be_followed_and_loses_nothing(
    known: dict[str, str], others: dict[str, str], carried: dict[str, Any], data: st.DataObject
) -> None:
    try:
        first = parse(known | others, json.dumps({"pondctl": carried}))
    except MessageError:
        return
    message = first
    for number in range(data.draw(st.integers(1, 3))):
        message = next_check(message, first.bulk_change_id, key=f"k{number}")
        assert message.is_retry_new_activate_thingspace_device
        assert len(message.attributes) <= 10

    before = {**first.attributes, **first.envelope.attributes}
    after = {**message.attributes, **message.envelope.attributes}
    ours = {"bulkchangeid", "retrynumber", "isretrynewactivatethingspacedevice"}
    assert {k: v for k, v in before.items() if split_label(k)[0].lower() not in ours}.items() <= after.items()
    assert message.retry_number == min(first.retry_number + number + 1, 2**31 - 1)


def test_the_largest_message_that_parses_still_has_a_next_check_that_sqs_takes() -> None:
    # Line separators grow sixfold when they move into the body as ASCII escapes.
    wide = "\u2028" * (MAX_CARRIED_BYTES // 3 // 9 - 10)
    attributes = {"BulkChangeId": "1"} | {f"x{n}": wide for n in range(9)}
    body = json.dumps({"pondctl": {"newer": "y" * (MAX_CARRIED_BYTES - 20), "lineage": ["k" * 100] * 64}})

    following = next_check(parse(attributes, body), 1, key="k")

    assert check_sendable(following.attributes, following.body) < MAX_MESSAGE_BYTES
