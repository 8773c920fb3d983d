from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.clients.callback import CarrierHint, parse_callback, without_password
from pondctl.errors import MessageError
from tests.long_form import LONG

ICCID = "89148000001234567898"
SECRET = "hunter2secret"
SUCCESS = {
    "username": "someone",
    "password": SECRET,
    "requestId": "11111111-2222-4333-8444-555555555555",
    "deviceIds": [{"id": ICCID, "kind": "Iccid"}],
    "deviceResponse": {"activateResponse": {"deviceIds": [{"id": "12015550123", "kind": "msisdn"}]}},
    "status": "Success",
    "callbackCount": 1,
    "maxCallbackThreshold": 4,
}


def test_a_success_is_read_without_its_login() -> None:
    hint = parse_callback(json.dumps(SUCCESS))

    assert hint == CarrierHint(
        iccids=(ICCID,),
        request_id="11111111-2222-4333-8444-555555555555",
        status="Success",
        fault_code=None,
        fault_text=None,
    )
    assert SECRET not in repr(hint)


def test_a_fault_is_read_and_cut_to_a_length_that_can_be_stored() -> None:
    fault = {"faultcode": "UnifiedWebService.REQUEST_FAILED.DeviceAlreadyActive", "faultstring": "x" * 9999}
    hint = parse_callback(
        json.dumps({"deviceIds": SUCCESS["deviceIds"], "faultResponse": fault, "status": "Failed"})
    )

    assert hint.status == "Failed"
    assert hint.fault_code == "UnifiedWebService.REQUEST_FAILED.DeviceAlreadyActive"
    assert hint.fault_text == "x" * 500
    assert hint.request_id is None


def test_iccids_are_found_beside_other_ids_and_in_the_answer_each_once() -> None:
    document = {
        "deviceIds": [
            {"id": "12015550123", "kind": "mdn"},
            {"id": f" {ICCID[:10]}-{ICCID[10:]}F", "kind": "ICCID"},
            {"id": "not one", "kind": "iccid"},
        ],
        "deviceResponse": {
            "suspendResponse": {"deviceIds": [{"id": ICCID, "kind": "iccid"}]},
            "restoreResponse": {"deviceIds": [{"id": "8901234567890123456", "kind": "iccid"}]},
            "other": None,
        },
    }

    hint = parse_callback(json.dumps(document))

    assert hint.iccids == (ICCID, "8901234567890123456")
    assert hint.not_iccids == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Not used",
        "[]",
        "{}",
        "null",
        '{"deviceIds": []}',
        '{"deviceIds": [{"id": "12015550123", "kind": "mdn"}]}',
        '{"deviceIds": [{"id": "8901", "kind": "iccid"}]}',
        '{"deviceIds": [{"id": 89148000001234567898, "kind": "iccid"}]}',
        '{"deviceIds": [{"id": "８９148000001234567898", "kind": "iccid"}]}',  # noqa: RUF001
        '{"deviceIds": "89148000001234567898"}',
        json.dumps(SUCCESS | {"requestId": 5}),
        json.dumps(SUCCESS | {"requestId": "x" * 129}),
        json.dumps(SUCCESS | {"deviceResponse": []}),
        json.dumps(SUCCESS)[:-5],
        "[" * 200_000,
        '{"deviceResponse":' * 50_000,
        json.dumps(SUCCESS | {"filler": "x" * 262_144}),
        "\ud800",
    ],
)
def test_what_names_no_device_is_an_error_that_repeats_nothing(body: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_callback(body)

    assert SECRET not in caught.value.message
    assert len(caught.value.message) < 80


def test_a_body_without_a_password_is_stored_as_it_came() -> None:
    for body in ("Not used", "", '{ "a" : 1.50 }', '{"a": "password"', "\ud800", "[" * 100_000):
        assert without_password(body) == body


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(SUCCESS),
        json.dumps([{"url": "https://x", "userPassword": SECRET}]),
        '{"PASSWORD" : "' + SECRET + '", "b": 1',
        '{"password": "' + SECRET,
        '{"password": "a\\"' + SECRET + '", "b',
        '{"password": "a\\\n' + SECRET + '", "b',
        json.dumps({"Message": json.dumps(SUCCESS)}),
        json.dumps({"Message": json.dumps(SUCCESS)})[:-4],
        'odd " quote {"password": "' + SECRET + '"}',
        '{"a": "say", "passwd":' + SECRET + ", ",
        '{"pass\\u0077ord": "' + SECRET + '"}',
    ],
)
def test_a_password_is_dropped_also_from_broken_json(body: str) -> None:
    kept = without_password(body)

    assert SECRET not in kept
    assert without_password(kept) == kept


def test_dropping_a_password_leaves_the_rest() -> None:
    assert json.loads(without_password(json.dumps(SUCCESS))) == SUCCESS | {"password": ""}


@pytest.mark.timeout(10)
def test_hostile_text_cannot_stall_the_search_for_passwords() -> None:
    for part in ('"passw', 'passw"', '"a":', '"passw":"', '\\"', "passw", 'passw":\\'):
        assert without_password("{" + part * 40_000).startswith("{")


words = st.sampled_from(
    ["deviceIds", "deviceResponse", "faultResponse", "faultcode", "requestId", "status", "id", "kind", "x"]
)
leaves = (
    st.sampled_from(["iccid", "Iccid", ICCID, "8901", "Success"])
    | st.none()
    | st.integers()
    | st.text(max_size=8)
)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
secret_documents = st.recursive(
    st.text(max_size=8) | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | st.builds(
            lambda rest: {"password": SECRET} | rest, st.dictionaries(st.text(max_size=3), inner, max_size=2)
        )
    ),
    max_leaves=8,
)


@settings(max_examples=2000 if LONG else 250, deadline=None)
@given(
    document=documents
    | st.fixed_dictionaries(
        {"deviceIds": st.lists(st.fixed_dictionaries({"id": leaves, "kind": leaves}), max_size=3)},
        optional={"deviceResponse": documents, "faultResponse": documents, "status": leaves},
    )
)
def test_no_document_crashes_the_parser(document: Any) -> None:
    reason = ""
    iccids: tuple[str, ...] = ()
    try:
        iccids = parse_callback(json.dumps(document)).iccids
    except MessageError as error:
        reason = error.message

    assert bool(reason) is not bool(iccids)
    assert reason.isprintable()
    assert all(iccid.isascii() and iccid.isdigit() for iccid in iccids)


@settings(max_examples=1000 if LONG else 150, deadline=None)
@given(document=secret_documents, cut=st.integers(0, 40))
def test_no_stored_text_holds_a_planted_password(document: Any, cut: int) -> None:
    text = json.dumps(document)

    assert SECRET not in without_password(text[: len(text) - cut])
