from __future__ import annotations

from typing import Any

import pytest

from pondctl.sandbox import Fault, FaultKind, Sandbox, SandboxConfig
from tests.sandbox.callers import ThingSpaceCaller, numbers, state

A, B = "89148000001234567898", "89148000001234567906"
HISTORY = "/m2m/v1/devices/history/actions/list"
EVER = {"earliest": "2000-01-01T00:00:00Z", "latest": "2100-01-01T00:00:00Z"}


def shown(caller: ThingSpaceCaller, iccid: str) -> dict[str, Any]:
    [device] = caller.lookup(iccid).json()["devices"]
    return device  # type: ignore[no-any-return]


def status(caller: ThingSpaceCaller, request_id: str) -> str:
    path = f"/m2m/v1/accounts/{caller.config.account_name}/requests/{request_id}/status"
    return str(caller.get(path).json()["status"])


def error(answer: Any) -> str:
    assert answer.status_code == 400
    return str(answer.json()["errorCode"]).removeprefix("UnifiedWebService.")


@pytest.mark.parametrize("before", ["deactive", "pre-active", None])
def test_an_activation_is_pending_first_and_gets_its_number_when_it_is_active(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, before: str | None
) -> None:
    if before:
        sandbox.thingspace.add(A, state=before)

    request_id = thingspace.act("activate", A).json()["requestId"]
    sandbox.advance(599)
    pending = shown(thingspace, A)
    first = status(thingspace, request_id)
    sandbox.advance(2)
    active = shown(thingspace, A)

    assert (state(pending), first) == ("pending activation", "Pending")
    assert not {"mdn", "msisdn"} & numbers(pending).keys()
    assert (state(active), status(thingspace, request_id)) == ("active", "Success")
    assert numbers(active)["mdn"]


def test_a_failed_activation_leaves_the_device_deactive(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.fault(Fault("thingspace.activate", FaultKind.FAIL_LATER))

    request_id = thingspace.act("activate", A).json()["requestId"]
    sandbox.advance(601)

    assert status(thingspace, request_id) == "Failed"
    assert state(shown(thingspace, A)) == "deactive"
    assert "mdn" not in numbers(shown(thingspace, A))


def test_activating_an_active_device_is_accepted_and_fails(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.thingspace.add(A, msisdn="12015550123")

    request_id = thingspace.act("activate", A).json()["requestId"]

    assert status(thingspace, request_id) == "Failed"
    assert sandbox.thingspace.device(A).msisdn == "12015550123"


def test_a_life_from_active_to_deactive(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.thingspace.add(A, msisdn="12015550123")

    states = []
    for action in ("suspend", "restore", "deactivate"):
        request_id = thingspace.act(action, A).json()["requestId"]
        states.append(state(shown(thingspace, A)))
        assert status(thingspace, request_id) == "Success"

    assert states == ["suspend", "active", "deactive"]
    assert "mdn" not in numbers(shown(thingspace, A))
    events = thingspace.post(HISTORY, {"deviceId": {"id": A, "kind": "iccid"}, **EVER}).json()
    assert [event["eventType"] for event in events["provisioningHistory"]] == [
        "Suspension Confirmed",
        "Restoration Confirmed",
        "Deactivation Confirmed",
    ]


def test_actions_may_take_their_time() -> None:
    with Sandbox(SandboxConfig(action_seconds=60)) as sandbox:
        sandbox.thingspace.add(A)
        caller = ThingSpaceCaller(sandbox)
        with caller.http:
            caller.enter().act("deactivate", A)
            assert state(shown(caller, A)) == "pending deactivation"
            assert error(caller.act("suspend", A)) == "INPUT_INVALID.DeviceState.Invalid"
            sandbox.advance(61)
            assert state(shown(caller, A)) == "deactive"


@pytest.mark.parametrize(
    ("before", "action"),
    [
        ("suspend", "suspend"),
        ("deactive", "suspend"),
        ("active", "restore"),
        ("suspend", "deactivate"),
        ("pending activation", "activate"),
        ("pending activation", "deactivate"),
        ("suspend", "activate"),
    ],
)
def test_an_action_from_a_wrong_state_is_refused_and_changes_nothing(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, before: str, action: str
) -> None:
    sandbox.thingspace.add(A, state=before)

    assert error(thingspace.act(action, A)) == "INPUT_INVALID.DeviceState.Invalid"
    assert sandbox.thingspace.device(A).state == before


def test_a_request_of_which_one_device_is_wrong_changes_none(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.thingspace.add(A)
    sandbox.thingspace.add(B, state="deactive")
    devices = [{"deviceIds": [{"id": iccid, "kind": "iccid"}]} for iccid in (A, B)]

    assert error(thingspace.act("suspend", A, devices=devices)) == "INPUT_INVALID.DeviceState.Invalid"
    assert sandbox.thingspace.device(A).state == "active"


def test_the_status_of_a_request_about_two_devices_cannot_be_asked_for(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.thingspace.add(A)
    sandbox.thingspace.add(B)
    devices = [{"deviceIds": [{"id": iccid, "kind": "iccid"}]} for iccid in (A, B)]
    request_id = thingspace.act("suspend", A, devices=devices).json()["requestId"]

    path = f"/m2m/v1/accounts/{sandbox.config.account_name}/requests/{request_id}/status"
    assert error(thingspace.get(path)) == "REQUEST_FAILED.UnexpectedError"
    assert {sandbox.thingspace.device(iccid).state for iccid in (A, B)} == {"suspend"}


@pytest.mark.parametrize("action", ["activate", "suspend", "restore", "deactivate"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"devices": []}, "INPUT_INVALID.DeviceNotProvided"),
        ({"devices": [{"deviceIds": []}]}, "DeserializationFailed"),
        ({"devices": [A]}, "DeserializationFailed"),
        ({"devices": [{}] * 10_001}, "INPUT_INVALID.MaxRequestsExceeded"),
        ({"accountName": "0000000001-00001"}, "REQUEST_FAILED.AccountNotFound"),
        ({"etmf": True}, "REQUEST_FAILED.UnexpectedError"),
        (
            {"devices": [{"deviceIds": [{"id": "x", "kind": "iccid"}]}]},
            "INPUT_INVALID.Device.Identifier.Invalid",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_request_that_cannot_be_meant_is_refused(
    thingspace: ThingSpaceCaller, action: str, fields: dict[str, Any], code: str
) -> None:
    assert error(thingspace.act(action, A, **fields)) == code


@pytest.mark.parametrize(
    ("action", "fields", "code"),
    [
        ("activate", {"servicePlan": ""}, "DeserializationFailed"),
        ("activate", {"mdnZipCode": None}, "DeserializationFailed"),
        (
            "activate",
            {"devices": [{"deviceIds": [{"id": A, "kind": "iccid"}]}]},
            "DeserializationFailed",
        ),
        ("deactivate", {"reasonCode": "XX"}, "REQUEST_FAILED.UnexpectedError"),
        ("deactivate", {"reasonCode": None}, "DeserializationFailed"),
        ("deactivate", {"etfWaiver": "false"}, "DeserializationFailed"),
        ("suspend", {}, "REQUEST_FAILED.DeviceNotFound"),
    ],
    ids=str,
)
def test_what_an_action_requires_must_be_there(
    thingspace: ThingSpaceCaller, action: str, fields: dict[str, Any], code: str
) -> None:
    assert error(thingspace.act(action, A, **fields)) == code


def test_with_a_sku_number_no_imei_is_needed(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    devices = [{"deviceIds": [{"id": A, "kind": "iccid"}]}]

    assert thingspace.act("activate", A, devices=devices, skuNumber="SKU1").status_code == 200
    assert sandbox.thingspace.device(A).state == "pending activation"


def test_a_device_may_be_deleted_with_its_deactivation(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.thingspace.add(A)
    thingspace.act("deactivate", A, deleteAfterDeactivation=True)

    assert error(thingspace.lookup(A)) == "REQUEST_FAILED.DeviceNotFound"


def test_a_device_can_be_told_to_become_active(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.thingspace.add(A, state="pending activation", msisdn="12015550123", active_in=30)
    sandbox.thingspace.add(B, state="pending activation")

    assert "msisdn" not in numbers(shown(thingspace, A))
    sandbox.advance(31)

    assert numbers(shown(thingspace, A))["msisdn"] == "12015550123"
    assert state(shown(thingspace, B)) == "pending activation"


def test_what_a_test_sets_is_not_overtaken_by_an_older_action(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    thingspace.act("activate", A)
    sandbox.thingspace.add(A, state="deactive")
    sandbox.advance(601)

    assert state(shown(thingspace, A)) == "deactive"


@pytest.mark.parametrize("window", [{}, {"earliest": "x", "latest": "y"}])
def test_a_history_needs_its_window(thingspace: ThingSpaceCaller, window: dict[str, str]) -> None:
    answer = thingspace.post(HISTORY, {"deviceId": {"id": A, "kind": "iccid"}, **window})

    assert error(answer) in {"DeserializationFailed", "REQUEST_FAILED.UnexpectedError"}


def test_a_history_of_an_unknown_device_is_not_found(thingspace: ThingSpaceCaller) -> None:
    answer = thingspace.post(HISTORY, {"deviceId": {"id": A, "kind": "iccid"}, **EVER})

    assert error(answer) == "REQUEST_FAILED.DeviceNotFound"
