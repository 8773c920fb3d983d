from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pondctl.clients._repeat import RepeatableError
from pondctl.clients._thingspace_devices import (
    cursor_of,
    parse_device,
    parse_gateway_device,
    parse_listing,
    parse_single,
)
from pondctl.clients._thingspace_errors import checked_body
from pondctl.clients._thingspace_pages import DevicePage, Pages
from pondctl.errors import PondctlError
from pondctl.models import Device, DeviceState
from tests.clients.doubles import ICCID, record
from tests.long_form import LONG

OTHER = "89148000009999999999"


def device_with(*ids: object, **fields: object) -> Device:
    device = parse_device({"deviceIds": [{"kind": "iccId", "id": ICCID}, *ids], **fields})
    assert device is not None
    return device


@pytest.mark.parametrize(
    ("ids", "msisdn"),
    [
        ([("msisdn", "12015550123")], "12015550123"),
        ([("mdn", "2015550123"), ("msisdn", "12015550999")], "12015550999"),
        ([("mdn", "2015550123")], "12015550123"),
        ([("MDN", "12015550123")], "12015550123"),
        ([("MSISDN", "+447700900123")], "447700900123"),
        ([("msisdn", 12015550123)], "12015550123"),
        ([("mdn", 2015550123)], "12015550123"),
        ([("msisdn", " 12015550123 ")], "12015550123"),
        ([("msisdn", ""), ("mdn", "2015550123")], "12015550123"),
        ([("msisdn", "unknown"), ("mdn", "2015550123")], "12015550123"),
        ([("msisdn", "")], None),
        ([("msisdn", "   ")], None),
        ([("msisdn", "0000000000")], None),
        ([("mdn", "0000000000")], None),
        ([("mdn", "00000")], None),
        ([("msisdn", "1201555012x")], None),
        ([("msisdn", "\uff11\uff12\uff10\uff11\uff15\uff15\uff15\uff10\uff11\uff12\uff13")], None),
        ([("msisdn", None)], None),
        ([("msisdn", True)], None),
        ([("msisdn", 1.5e10)], None),
        ([("msisdn", {"id": "1"})], None),
        ([("msisdn", "1" * 16)], None),
        ([(None, "12015550123"), (5, "12015550123")], None),
        ([], None),
    ],
)
def test_the_number_is_digits_or_nothing(ids: list[tuple[object, object]], msisdn: str | None) -> None:
    assert device_with(*({"kind": kind, "id": value} for kind, value in ids)).msisdn == msisdn


@pytest.mark.parametrize("kind", ["iccId", "Iccid", "ICCID", "iccid"])
def test_the_kind_of_an_identifier_is_read_without_case(kind: str) -> None:
    device = parse_device({"deviceIds": [{"kind": kind, "id": f" {ICCID}F "}]})

    assert device is not None
    assert device.iccid == ICCID


@pytest.mark.parametrize(
    ("carriers", "state", "word"),
    [
        ([{"state": "active"}], DeviceState.ACTIVE, "active"),
        ([{"state": "Pending_Activation"}], DeviceState.PENDING_ACTIVATION, "Pending_Activation"),
        ([{}, {"state": " deactive "}], DeviceState.DEACTIVE, "deactive"),
        ([{"state": "made up"}], DeviceState.UNKNOWN, "made up"),
        ([{"state": "x" * 5000}], DeviceState.UNKNOWN, "x" * 100),
        ([{"state": 5}], DeviceState.UNKNOWN, ""),
        ([None, "active"], DeviceState.UNKNOWN, ""),
        ([], DeviceState.UNKNOWN, ""),
        (None, DeviceState.UNKNOWN, ""),
        ({"state": "active"}, DeviceState.UNKNOWN, ""),
    ],
)
def test_a_state_is_the_carriers_word_and_never_a_guess(
    carriers: object, state: DeviceState, word: str
) -> None:
    device = device_with(carrierInformations=carriers)

    assert (device.state, device.carrier_state) == (state, word)


@pytest.mark.parametrize(
    "ids", [None, [], "iccid", [None], [{"kind": "iccId"}], [{"kind": "iccId", "id": "12"}]]
)
def test_a_record_without_an_iccid_is_no_device(ids: object) -> None:
    assert parse_device({"deviceIds": ids}) is None


def answer(*records: object) -> object:
    return {"hasMoreData": False, "devices": list(records)}


def test_the_device_asked_for_is_found_among_several() -> None:
    device = parse_single(answer(record(OTHER), record(state="suspend"), None), ICCID)

    assert device is not None
    assert device.state is DeviceState.SUSPENDED


@pytest.mark.parametrize("body", [answer(), {"hasMoreData": False}, {"hasMoreData": False, "devices": None}])
def test_no_devices_means_that_it_is_not_known(body: object) -> None:
    assert parse_single(body, ICCID) is None


@pytest.mark.parametrize(
    "body",
    [
        answer(record(OTHER)),
        answer(record(), record(state="deactive")),
        answer({"carrierInformations": [{"state": "active"}]}),
        {},
        {"devices": None},
        {"devices": {}},
        {"devices": "none", "hasMoreData": False},
        {"devices": [], "hasMoreData": "false"},
        [],
        None,
        5,
        "text",
    ],
)
def test_an_answer_that_is_not_about_this_device_is_never_taken_for_one(body: object) -> None:
    with pytest.raises(RepeatableError) as caught:
        parse_single(body, ICCID)

    assert caught.value.temporary


def test_the_same_record_twice_is_one_device() -> None:
    assert parse_single(answer(record(), record()), ICCID) is not None


@pytest.mark.parametrize(
    "body",
    [
        {"state": "active", "mdn": "2015550123", "msisdn": None},
        {"state": "active", "msisdn": 12015550123, "iccid": ICCID},
        {"state": "active", "msisdn": "12015550123", "ICCID": ICCID},
        record(),
        {**record(), "deviceIds": [{"kind": "mdn", "id": "2015550123"}]},
        answer(record()),
    ],
)
def test_a_gateway_may_answer_flat_or_with_a_list_record(body: object) -> None:
    device = parse_gateway_device(body, ICCID)

    assert device is not None
    assert (device.iccid, device.state, device.msisdn) == (ICCID, DeviceState.ACTIVE, "12015550123")


@pytest.mark.parametrize(
    "body",
    [
        {"state": "active", "iccid": OTHER},
        record(OTHER),
        answer(record(OTHER)),
        {},
        {"ok": True},
        [],
        "active",
        None,
    ],
)
def test_a_gateways_answer_about_something_else_is_not_taken(body: object) -> None:
    with pytest.raises(RepeatableError):
        parse_gateway_device(body, ICCID)


@pytest.mark.parametrize(
    ("attributes", "cursor"),
    [
        ([{"key": "PrimaryPlaceOfUseTitle"}, {"key": "DeviceId", "value": "480123"}], 480123),
        ([{"key": "deviceid", "value": 480123}], 480123),
        ([{"key": "DeviceId"}], None),
        ([{"key": "DeviceId", "value": "-1"}], None),
        ([{"key": "DeviceId", "value": "9" * 5000}], None),
        ([{"key": "DeviceId", "value": "\u0661"}], None),
        ([None, 5, {"value": "1"}], None),
        ({}, None),
        (None, None),
    ],
)
def test_the_cursor_is_a_whole_number_or_nothing(attributes: object, cursor: int | None) -> None:
    assert cursor_of({"extendedAttributes": attributes}) == cursor


# --- hostile input ------------------------------------------------------------------------------

FIELDS = """
    devices hasMoreData deviceIds kind id iccId msisdn mdn carrierInformations state accountName ipAddress
    extendedAttributes key value DeviceId errorCode errorMessage fault code error iccid active
"""
NAMES = st.sampled_from(FIELDS.split())
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES | st.just(ICCID)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


def _one_page(body: object) -> DevicePage:
    pages, listing = Pages("a"), parse_listing(body)
    pages.advance(listing)
    return pages.read(listing)


def read_page(body: object) -> DevicePage:
    pages, page = Pages("a"), parse_listing(body)
    pages.advance(page)
    return pages.read(page)


@given(JSON)
@settings(max_examples=500 if LONG else 150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_is_a_device_nothing_or_a_typed_error(body: object) -> None:
    for read in (
        lambda: parse_single(body, ICCID),
        lambda: parse_gateway_device(body, ICCID),
        lambda: _one_page(body),
    ):
        try:
            read()
        except PondctlError:
            continue


@given(st.integers(200, 599), st.binary(max_size=200) | JSON.map(lambda body: json.dumps(body).encode()))
@settings(max_examples=500 if LONG else 150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_body_under_any_status_is_read_or_a_typed_error(status: int, content: bytes) -> None:
    words = ""
    try:
        checked_body(httpx.Response(status, content=content), account_name="a", base_url="https://x.test")
    except PondctlError as error:
        words = error.message
    assert words.isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"devices":' * 50_000,
        b"1" * 100_000,
        b"\xff\xfe",
        b"",
        b"\x00",
        b"NaN",
        b"<html></html>",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_nesting_long_numbers_and_no_json_at_all_are_no_crash(content: bytes) -> None:
    with pytest.raises(RepeatableError):
        parse_single(
            checked_body(httpx.Response(200, content=content), account_name="a", base_url="https://x.test"),
            ICCID,
        )
