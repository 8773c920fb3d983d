from __future__ import annotations

from typing import Any

import pytest

from pondctl.sandbox import Sandbox, SandboxConfig
from pondctl.sandbox.fleet import seeded_devices
from tests.sandbox.callers import LIST, ThingSpaceCaller, device_id, numbers, state

A, B = "89148000001234567898", "89148000001234567906"


def test_a_device_is_shown_as_the_carrier_shows_it(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.thingspace.add(A, state="active", msisdn="12015550123")

    answer = thingspace.lookup(A)
    [device] = answer.json()["devices"]

    assert answer.status_code == 200
    assert answer.json()["hasMoreData"] is False
    assert state(device) == "active"
    assert device["accountName"] == sandbox.config.account_name
    assert numbers(device)["iccId"] == A
    assert numbers(device)["mdn"] == "2015550123"
    assert numbers(device)["msisdn"] == "12015550123"


@pytest.mark.parametrize("kind", ["iccid", "ICCID", "iccId", "Iccid"])
def test_kinds_are_taken_in_any_case(sandbox: Sandbox, thingspace: ThingSpaceCaller, kind: str) -> None:
    sandbox.thingspace.add(A)

    assert len(thingspace.lookup(A, kind).json()["devices"]) == 1


def test_a_device_is_found_by_any_of_its_identifiers(thingspace: ThingSpaceCaller) -> None:
    [record] = next(iter(thingspace.pages(1)))

    for kind, value in numbers(record).items():
        if kind != "imsi":
            [found] = thingspace.lookup(value, kind).json()["devices"]
            assert numbers(found) == numbers(record)


def test_an_added_device_is_found_by_its_number(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.thingspace.add(A, msisdn="12015550123")

    for value, kind in (("12015550123", "msisdn"), ("2015550123", "mdn")):
        assert numbers(thingspace.lookup(value, kind).json()["devices"][0])["iccId"] == A


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        ({"id": "1", "kind": "imsi"}, "INPUT_INVALID.Device.Kind.Invalid"),
        ({"id": "8914800000123456789X", "kind": "iccid"}, "INPUT_INVALID.Device.Identifier.Invalid"),
        ({"id": "891480000012345678981", "kind": "iccid"}, "INPUT_INVALID.Device.Identifier.Invalid"),
        ({"id": "12345", "kind": "iccid"}, "INPUT_INVALID.Device.Identifier.Invalid"),
        ({"id": A}, "DeserializationFailed"),
        ({"kind": "iccid"}, "DeserializationFailed"),
        ({"id": 5, "kind": "iccid"}, "DeserializationFailed"),
        (A, "DeserializationFailed"),
    ],
)
def test_an_identifier_that_cannot_be_one_is_refused(
    thingspace: ThingSpaceCaller, identifier: object, code: str
) -> None:
    answer = thingspace.post(LIST, {"deviceId": identifier})

    assert answer.status_code == 400
    assert answer.json()["errorCode"] == f"UnifiedWebService.{code}"


def test_an_unknown_device_is_an_error_or_by_switch_an_empty_list(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    as_error = thingspace.lookup(A)
    sandbox.thingspace.unknown_device = "empty"
    as_list = thingspace.lookup(A)

    assert as_error.status_code == 400
    assert as_error.json()["errorCode"] == "UnifiedWebService.REQUEST_FAILED.DeviceNotFound"
    assert as_list.json() == {"hasMoreData": False, "devices": []}


def test_a_device_of_another_account_is_not_in_this_one(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.thingspace.add(A, account_name="0000000001-00001")
    body = {"deviceId": {"id": A, "kind": "iccid"}, "accountName": sandbox.config.account_name}

    assert thingspace.post(LIST, body).json()["errorCode"].endswith("INPUT_INVALID.Device.Account.Invalid")
    assert thingspace.lookup(A).json()["devices"][0]["accountName"] == "0000000001-00001"
    assert A not in [numbers(d)["iccId"] for d in thingspace.page().json()["devices"]]


def test_a_wrong_account_is_not_found(thingspace: ThingSpaceCaller) -> None:
    answer = thingspace.page(accountName="998877-00001")

    assert answer.json()["errorCode"] == "UnifiedWebService.REQUEST_FAILED.AccountNotFound"


@pytest.mark.parametrize("size", [1, 7, 59, 60, 61, 2000])
def test_the_pages_show_every_device_once_in_rising_order(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, size: int
) -> None:
    devices = [device for page in thingspace.pages(size) for device in page]

    ids = [device_id(device) for device in devices]
    assert ids == sorted(set(ids))
    assert [numbers(device)["iccId"] for device in devices] == list(sandbox.thingspace.devices)
    assert sandbox.calls["thingspace.page"] == -(-60 // size)


def test_a_page_says_202_while_there_is_more(thingspace: ThingSpaceCaller) -> None:
    assert thingspace.page(maxNumberOfDevices=59).status_code == 202
    assert thingspace.page(maxNumberOfDevices=60).status_code == 200


def test_pages_show_what_the_seed_promises(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    promised = {iccid: (word, number) for iccid, word, number in seeded_devices(sandbox.config)}

    for device in thingspace.page().json()["devices"]:
        kinds = numbers(device)
        number = kinds.get("msisdn") or (f"1{kinds['mdn']}" if "mdn" in kinds else None)
        assert promised.pop(kinds["iccId"]) == (state(device), number)
    assert not promised


def test_pending_devices_of_the_fleet_become_active_and_get_their_number(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    pending = [iccid for iccid, word, _ in seeded_devices(sandbox.config) if word == "pending activation"]
    before = thingspace.page(currentState="Pending Activation").json()["devices"]
    sandbox.advance(599)
    still = thingspace.page(currentState="pending activation").json()["devices"]
    sandbox.advance(2)
    thingspace.enter()

    assert [numbers(device)["iccId"] for device in before] == pending
    assert [numbers(device)["iccId"] for device in still] == pending
    assert all("mdn" not in numbers(device) for device in before)
    for iccid in pending:
        [device] = thingspace.lookup(iccid).json()["devices"]
        assert state(device) == "active"
        assert numbers(device)["mdn"]
    assert thingspace.page(currentState="pending activation").json()["devices"] == []


def test_a_kept_page_is_forgotten_when_the_fleet_changes(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    first = thingspace.page().content
    assert thingspace.page().content == first
    [iccid, *_] = sandbox.thingspace.devices

    sandbox.thingspace.add(iccid, state="suspend", msisdn="12015559999")
    sandbox.thingspace.add(A)

    devices = thingspace.page().json()["devices"]
    assert state(devices[0]) == "suspend"
    assert numbers(devices[0])["msisdn"] == "12015559999"
    assert numbers(devices[-1])["iccId"] == A
    sandbox.thingspace.remove(iccid)
    assert iccid not in thingspace.page().text


def test_a_scan_that_goes_on_while_devices_come_shows_them_at_the_end(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    pages = thingspace.pages(30)
    next(pages)
    sandbox.thingspace.add(A)

    assert numbers([device for page in pages for device in page][-1])["iccId"] == A


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"groupName": "sandbox"}, 60),
        ({"groupName": "other"}, 0),
        ({"servicePlan": "other"}, 0),
        ({"customFields": [{"key": "CustomField1", "value": "west"}]}, 60),
        ({"customFields": [{"key": "CustomField1", "value": "east"}]}, 0),
        ({"earliest": "2023-12-31T00:00:00Z", "latest": "2024-02-01T00:00:00-04:00"}, 60),
        ({"latest": "2023-12-31T00:00:00Z"}, 0),
        ({"filter": {"deviceIdentifierFilters": [{"kind": "iccid", "contains": "000000001"}]}}, 11),
        ({"filter": {"deviceIdentifierFilters": [{"kind": "iccid", "startswith": "89149"}]}}, 0),
        ({"filter": {"deviceIdentifierFilters": [{"kind": "mdn", "endswith": "0000000"}]}}, 1),
    ],
)
def test_filters_narrow_the_answer(thingspace: ThingSpaceCaller, filters: dict[str, Any], count: int) -> None:
    assert len(thingspace.page(**filters).json()["devices"]) == count


@pytest.mark.parametrize(
    "wrong",
    [
        {"maxNumberOfDevices": 2001},
        {"maxNumberOfDevices": 0},
        {"maxNumberOfDevices": "2000"},
        {"largestDeviceIdSeen": -1},
        {"largestDeviceIdSeen": True},
        {"largestDeviceIdSeen": "0"},
        {"deviceID": {"id": A, "kind": "iccid"}},
        {"deviceList": [{"id": A, "kind": "iccid"}]},
        {"earliest": "yesterday"},
        {"earliest": "2024-01-01T00:00:00"},
        {"filter": []},
        {"filter": {"deviceIdentifierFilters": [{"kind": "iccid", "startsWith": "89"}]}},
        {"customFields": ["west"]},
    ],
    ids=str,
)
def test_a_filter_that_cannot_be_meant_is_refused(
    thingspace: ThingSpaceCaller, wrong: dict[str, Any]
) -> None:
    answer = thingspace.page(**wrong)

    assert answer.status_code == 400
    assert answer.json()["errorCode"].startswith("UnifiedWebService.")


@pytest.mark.parametrize(
    ("content", "content_type", "status", "expected"),
    [
        (b"", "application/json", 400, "INPUT_INVALID.RequestUndefined"),
        (b"{", "application/json", 400, "DeserializationFailed"),
        (b"[]", "application/json", 400, "DeserializationFailed"),
        (b'{"accountName": "a\'b"}', "application/json", 400, "INPUT_INVALID.Request.InvalidCharacter"),
        (b"{}", "text/plain", 415, "Unsupported Media Type"),
    ],
)
def test_a_body_that_is_not_json_is_refused(
    thingspace: ThingSpaceCaller, content: bytes, content_type: str, status: int, expected: str
) -> None:
    headers = thingspace.headers | {"Content-Type": content_type}
    answer = thingspace.http.post(LIST, content=content, headers=headers)

    assert answer.status_code == status
    assert expected in answer.text


def test_a_gateway_may_offer_a_device_by_get(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.thingspace.add(A, msisdn="12015550123")
    sandbox.thingspace.add(B, state="pending activation")

    assert thingspace.get(f"/devices/{A}").json() == {
        "state": "active",
        "mdn": "2015550123",
        "msisdn": "12015550123",
    }
    assert thingspace.get(f"{sandbox.url}/devices/{B}").json() == {
        "state": "pending activation",
        "mdn": None,
        "msisdn": None,
    }
    assert thingspace.get("/devices/89148000001234567999").status_code == 404
    assert thingspace.get("/devices/12").status_code == 400
    thingspace.headers.clear()
    assert thingspace.get(f"/devices/{A}").status_code == 401


def test_the_gateway_may_answer_with_the_whole_record() -> None:
    with Sandbox(SandboxConfig(gateway_shape="record")) as sandbox:
        sandbox.thingspace.add(A, state="suspend")
        caller = ThingSpaceCaller(sandbox)
        with caller.http:
            assert state(caller.enter().get(f"/devices/{A}").json()) == "suspend"


def test_a_path_that_is_not_served_is_refused_in_the_gateways_two_ways(thingspace: ThingSpaceCaller) -> None:
    wrong_path = thingspace.get("/m2m/v1/devices")
    wrong_verb = thingspace.get(LIST)

    assert (wrong_path.status_code, wrong_path.json()["fault"]["code"]) == (400, "900906")
    assert wrong_verb.status_code == 404
    assert wrong_verb.text.startswith("<am:fault")


def test_a_device_with_the_mdn_alone_is_listed_so(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    view = sandbox.thingspace.add(A, mdn="2015550123")

    kinds = numbers(thingspace.lookup(A).json()["devices"][0])
    assert kinds["mdn"] == "2015550123"
    assert "msisdn" not in kinds
    assert view.msisdn == "12015550123"


def test_a_million_devices_can_be_read_from_anywhere() -> None:
    with Sandbox(SandboxConfig(devices=1_000_000)) as sandbox:
        caller = ThingSpaceCaller(sandbox)
        with caller.http:
            last = caller.enter().page(largestDeviceIdSeen=480_000 + 7 * 999_997).json()
        assert [device_id(device) for device in last["devices"]] == [
            480_000 + 7 * n for n in (999_998, 999_999)
        ]
        assert len(sandbox.thingspace.devices) == 1_000_000
