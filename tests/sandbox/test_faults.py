"""Each kind of fault once, as a caller meets it; and whether a write took effect."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pondctl.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox.callers import PondCaller, ThingSpaceCaller, device_id, numbers

A = "89148000001234567898"
SIM = "8910300000001234567"


@pytest.fixture(autouse=True)
def package(sandbox: Sandbox) -> str:
    sandbox.thingspace.add(A, msisdn="12015550123")
    [package] = sandbox.pond.add_sim(SIM, [(1001, "NOT_ACTIVE")])
    return package.package_id


def test_latency_delays_the_answer_and_the_effect(sandbox: Sandbox, pond: PondCaller, package: str) -> None:
    sandbox.fault("pond.package_active:latency=0.3")

    with pytest.raises(httpx.ReadTimeout):
        pond.http.put(
            f"devices/{SIM}/packages/{package}/status", json={"packageStatus": "ACTIVE"}, timeout=0.1
        )

    assert sandbox.pond.packages(SIM)[0].status == "NOT_ACTIVE"
    deadline = time.monotonic() + 5
    while sandbox.pond.packages(SIM)[0].status != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_status_instead_of_an_answer_has_no_effect(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, pond: PondCaller, package: str, status: int
) -> None:
    sandbox.fault(f"thingspace.*:status={status}")
    sandbox.fault(f"pond.*:status={status}")

    assert thingspace.lookup(A).status_code == status
    answer = pond.move(SIM, package, "ACTIVE")
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert sandbox.pond.packages(SIM)[0].status == "NOT_ACTIVE"


def test_throttling_says_how_long_to_wait_in_seconds_or_as_a_date(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.fault("thingspace.lookup:throttle=7,count=1")
    sandbox.fault("thingspace.lookup:throttle_date=90,after=1,count=1")

    seconds, date, good = (thingspace.lookup(A) for _ in range(3))

    assert (seconds.status_code, seconds.headers["Retry-After"]) == (429, "7")
    assert seconds.json()["fault"]["code"] == "900800"
    assert date.status_code == 429
    until = email.utils.parsedate_to_datetime(date.headers["Retry-After"]).timestamp()
    assert until - time.time() == pytest.approx(90, abs=3)
    assert good.status_code == 200


@pytest.mark.parametrize(
    ("kind", "effect"),
    [(FaultKind.CUT_BEFORE, "NOT_ACTIVE"), (FaultKind.CUT_AFTER, "ACTIVE")],
)
def test_a_cut_connection_gives_no_answer_with_and_without_effect(
    sandbox: Sandbox, pond: PondCaller, package: str, kind: FaultKind, effect: str
) -> None:
    fault = sandbox.fault(Fault("pond.package_active", kind))

    with pytest.raises(httpx.RemoteProtocolError):
        pond.move(SIM, package, "ACTIVE")

    assert fault.fired == 1
    assert sandbox.pond.packages(SIM)[0].status == effect
    assert sandbox.calls.recent("pond.package_active")[0].status is None


def test_a_lost_answer_to_an_added_package_leaves_the_package(sandbox: Sandbox, pond: PondCaller) -> None:
    sandbox.fault("pond.add_package:cut_after,count=1")

    with pytest.raises(httpx.RemoteProtocolError):
        pond.add(SIM)
    pond.add(SIM)

    assert len(sandbox.pond.packages(SIM)) == 3


def test_a_late_effect_comes_after_the_connection_was_cut(
    sandbox: Sandbox, pond: PondCaller, package: str
) -> None:
    sandbox.fault("pond.add_package:late=20")

    with pytest.raises(httpx.RemoteProtocolError):
        pond.add(SIM)

    assert len(pond.http.get(f"devices/{SIM}/packages").json()["elements"]) == 1
    sandbox.advance(21)
    assert len(pond.http.get(f"devices/{SIM}/packages").json()["elements"]) == 2


def test_a_late_call_that_is_not_allowed_never_takes_effect(sandbox: Sandbox, pond: PondCaller) -> None:
    sandbox.fault("pond.add_package:late=20")
    pond.http.headers["x-api-key"] = "wrong"

    with pytest.raises(httpx.RemoteProtocolError):
        pond.add(SIM)
    sandbox.advance(21)

    assert len(sandbox.pond.packages(SIM)) == 1


def test_an_answer_may_break_off_in_the_middle(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.fault("thingspace.page:cut_body")

    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        thingspace.page()


def test_tokens_expire_under_the_callers_hands(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.fault("thingspace.lookup:expire_session,count=1")
    session = thingspace.lookup(A)
    sandbox.clear_faults()
    thingspace.enter()
    sandbox.fault("thingspace.lookup:expire_bearer,count=1")
    bearer = thingspace.lookup(A)

    assert session.json()["errorCode"].endswith(".SessionToken.Expired")
    assert bearer.json()["fault"]["code"] == "900901"
    assert thingspace.enter().lookup(A).status_code == 200


@pytest.mark.parametrize(
    ("kind", "proves"),
    [
        (FaultKind.HTML, lambda answer: answer.headers["content-type"].startswith("text/html")),
        (FaultKind.TRUNCATED, lambda answer: _is_no_json(answer.content)),
        (FaultKind.WRONG_TYPE, lambda answer: isinstance(answer.json(), list)),
    ],
)
def test_rubbish_comes_with_200_after_the_effect(
    sandbox: Sandbox, pond: PondCaller, kind: FaultKind, proves: Callable[[httpx.Response], bool]
) -> None:
    sandbox.fault(Fault("pond.add_package", kind))

    answer = pond.add(SIM)

    assert answer.status_code == 200
    assert proves(answer)
    assert len(sandbox.pond.packages(SIM)) == 2


def test_an_error_in_a_200_has_no_effect(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, pond: PondCaller
) -> None:
    sandbox.fault(Fault("*", FaultKind.ERROR_IN_200))

    at_pond, at_thingspace = pond.add(SIM), thingspace.lookup(A)

    assert (at_pond.status_code, at_pond.json()["status"]) == (200, 500)
    assert at_thingspace.status_code == 200
    assert at_thingspace.json()["errorCode"].startswith("UnifiedWebService.")
    assert len(sandbox.pond.packages(SIM)) == 1


def test_an_answer_may_be_about_another_device(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, pond: PondCaller
) -> None:
    sandbox.fault(Fault("*", FaultKind.OTHER_DEVICE))

    [device] = thingspace.lookup(A).json()["devices"]
    assert numbers(device)["iccId"] not in ("", A)
    assert pond.http.get(f"devices/{SIM}").json()["iccid"] != SIM


def test_a_slow_body_comes_byte_by_byte(sandbox: Sandbox, pond: PondCaller) -> None:
    sandbox.fault("pond.get_sim_status:slow_body=4")

    with pond.http.stream("GET", f"sim/{SIM}/status") as answer:
        started = time.monotonic()
        chunks = answer.iter_raw()
        assert [next(chunks), next(chunks)] == [b"{", b'"']
        assert time.monotonic() - started > 0.3


def test_a_page_may_come_twice(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.fault("thingspace.page:repeat_page,after=1,count=1")

    first, second, third = list(thingspace.pages(30))[:3]

    assert first == second != third


def test_a_cursor_may_not_rise(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.fault("thingspace.page:stuck_cursor")

    body = thingspace.page(largestDeviceIdSeen=480_007, maxNumberOfDevices=30).json()

    assert body["hasMoreData"] is True
    assert {device_id(device) for device in body["devices"]} == {480_007}


def test_a_page_may_lack_its_cursor(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.fault("thingspace.page:no_device_id")

    body = thingspace.page(maxNumberOfDevices=30).json()

    assert body["hasMoreData"] is True
    assert not any("extendedAttributes" in device for device in body["devices"])


def test_a_page_may_hold_a_foreign_device(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.fault("thingspace.page:foreign_account")

    accounts = [device["accountName"] for device in thingspace.page().json()["devices"]]

    assert set(accounts[:-1]) == {sandbox.config.account_name}
    assert accounts[-1] != sandbox.config.account_name


def test_an_activation_may_be_refused(sandbox: Sandbox, pond: PondCaller, package: str) -> None:
    sandbox.fault("pond.package_active:refuse=no credit")

    answer = pond.move(SIM, package, "ACTIVE")

    assert (answer.status_code, answer.json()["message"]) == (400, "no credit")
    assert sandbox.pond.packages(SIM)[0].status == "NOT_ACTIVE"


def test_the_second_termination_may_be_refused(sandbox: Sandbox, pond: PondCaller) -> None:
    packages = sandbox.pond.add_sim(SIM, [(1001, "ACTIVE")] * 3)
    sandbox.fault("pond.package_terminated:refuse,after=1,count=1")

    statuses = [pond.move(SIM, one.package_id, "TERMINATED").status_code for one in packages]

    assert statuses == [204, 400, 204]
    assert [one.status for one in sandbox.pond.packages(SIM)] == ["TERMINATED", "ACTIVE", "TERMINATED"]


def test_thingspace_refuses_with_the_code_that_was_wanted(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    sandbox.fault("thingspace.lookup:refuse=INPUT_INVALID.Device.Identifier.Invalid")

    answer = thingspace.lookup(A)

    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "UnifiedWebService.INPUT_INVALID.Device.Identifier.Invalid"


def test_a_fault_may_be_meant_for_one_device(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    [other, *_] = sandbox.thingspace.devices
    sandbox.fault(Fault("thingspace.lookup", FaultKind.STATUS, 503, contains=A))

    assert thingspace.lookup(A).status_code == 503
    assert thingspace.lookup(other).status_code == 200


@pytest.mark.parametrize("carrier", ["thingspace", "pond"])
def test_what_comes_faster_than_the_limit_is_throttled(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, pond: PondCaller, carrier: str
) -> None:
    sandbox.limit(carrier, 5)

    def ask() -> httpx.Response:
        return thingspace.lookup(A) if carrier == "thingspace" else pond.http.get(f"devices/{SIM}")

    answers = [ask() for _ in range(8)]
    statuses = [answer.status_code for answer in answers]

    assert statuses == [200] * 5 + [429] * 3
    assert answers[-1].headers["Retry-After"] == "1"
    assert thingspace.token().status_code == 200
    sandbox.limit(carrier, None)
    assert ask().status_code == 200


def _is_no_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return True
    return False


def test_a_fault_object_and_its_text_are_the_same(sandbox: Sandbox) -> None:
    armed: Any = sandbox.fault("thingspace.lookup:status=503,count=1")

    assert armed.fault == Fault("thingspace.lookup", FaultKind.STATUS, "503", count=1)
