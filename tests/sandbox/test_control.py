from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pondctl.sandbox import Sandbox
from tests.sandbox.callers import PondCaller, ThingSpaceCaller

A, SIM = "89148000001234567898", "8910300000001234567"


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{sandbox.url}/_sandbox") as client:
        yield client


def test_another_process_puts_devices_in_looks_at_them_and_takes_them_out(
    sandbox: Sandbox, control: httpx.Client, thingspace: ThingSpaceCaller
) -> None:
    body = [{"iccid": A, "state": "pending activation", "msisdn": "12015550123", "active_in": 5}]
    [added] = control.post("devices", json=body).json()

    assert added["state"] == "pending activation"
    assert control.post("clock", json={"advance": 6}).json()["clock_offset"] == 6
    assert control.get(f"devices/{A}").json() == {
        "iccid": A,
        "state": "active",
        "msisdn": "12015550123",
        "account_name": sandbox.config.account_name,
    }
    assert thingspace.lookup(A).status_code == 200
    assert control.delete(f"devices/{A}").status_code == 200
    assert thingspace.lookup(A).status_code == 400
    assert control.get(f"devices/{A}").status_code == 404


def test_another_process_puts_sims_in_and_looks_at_their_packages(
    control: httpx.Client, pond: PondCaller
) -> None:
    [sim] = control.post("sims", json=[{"iccid": SIM, "packages": [[1001, "ACTIVE"]]}]).json()

    assert [package["status"] for package in sim["packages"]] == ["ACTIVE"]
    pond.move(SIM, sim["packages"][0]["package_id"], "TERMINATED")
    assert control.get(f"sims/{SIM}").json()["packages"][0]["status"] == "TERMINATED"


def test_another_process_arms_and_disarms_faults(control: httpx.Client, thingspace: ThingSpaceCaller) -> None:
    control.post("faults", json=["thingspace.page:status=503,count=1", {"endpoint": "*", "kind": "html"}])
    thingspace.page()

    first, second = control.get("faults").json()
    assert (first["kind"], first["fired"], second["fired"]) == ("status", 1, 1)
    assert control.delete("faults").json() == []
    assert thingspace.page().status_code == 200


def test_the_state_tells_what_is_there_and_what_was_asked(
    sandbox: Sandbox, control: httpx.Client, thingspace: ThingSpaceCaller
) -> None:
    for _ in range(5):
        thingspace.login("wrong")

    state = control.get("state").json()

    assert state["thingspace"]["devices"] == 60
    assert state["thingspace"]["locked"] is True
    assert state["pond"]["sims"] == 100
    assert state["calls"]["thingspace.login"] == 6
    assert control.post("unlock", json={}).json()["thingspace"]["failed_logins"] == 0
    assert control.get("state").json()["calls"] == state["calls"]


def test_the_calls_can_be_read_and_forgotten(control: httpx.Client, thingspace: ThingSpaceCaller) -> None:
    for _ in range(3):
        thingspace.lookup(A)

    found = control.get("calls", params={"endpoint": "thingspace.lookup", "limit": 2}).json()

    assert (found["count"], found["worst_second"], len(found["calls"])) == (3, 3, 2)
    assert found["calls"][0]["iccid"] == A
    assert control.delete("calls").json() == {}


def test_another_process_sets_limits_and_starts_afresh(
    sandbox: Sandbox, control: httpx.Client, thingspace: ThingSpaceCaller
) -> None:
    assert control.post("limits", json={"thingspace": 1}).json() == {"thingspace": 1, "pond": None}
    assert [thingspace.page().status_code for _ in range(2)] == [200, 429]

    fresh = control.post("reset", json={}).json()

    assert fresh["calls"] == {}
    assert fresh["limits"] == {"thingspace": None, "pond": None}
    assert thingspace.page().status_code == 401


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("POST", "faults", ["thingspace.page:explode"], 400),
        ("POST", "faults", [{"endpoint": "*", "kind": "html", "often": 1}], 400),
        ("POST", "devices", [{"state": "active"}], 400),
        ("POST", "clock", {"advance": "soon"}, 400),
        ("POST", "limits", {"mars": 1}, 400),
        ("GET", f"sims/{SIM}", None, 404),
    ],
)
def test_a_wrong_control_request_is_told_why(
    control: httpx.Client, verb: str, path: str, body: Any, status: int
) -> None:
    answer = control.request(verb, path, json=body)

    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_form_from_a_web_page_cannot_control_the_sandbox(control: httpx.Client) -> None:
    answer = control.post("clock", content=b'{"advance": 5}', headers={"Content-Type": "text/plain"})

    assert answer.status_code == 400
    assert "content type" in answer.json()["error"]
