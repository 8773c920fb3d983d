from __future__ import annotations

from typing import Any

import pytest

from pondctl.sandbox import Sandbox, SandboxConfig
from pondctl.sandbox.fleet import seeded_pond_iccids
from tests.sandbox.callers import PondCaller

A, B = "8910300000001234567", "8910300000001234575"


@pytest.fixture(autouse=True)
def _two_sims(sandbox: Sandbox) -> None:
    sandbox.pond.add_sim(A)
    sandbox.pond.add_sim(B)


def refusal(answer: Any, status: int) -> str:
    body = answer.json()
    assert answer.status_code == status
    assert body.keys() == {"status", "code", "message", "link", "developerMessage", "referenceId"}
    assert body["status"] == status
    return str(body["message"])


@pytest.mark.parametrize(
    ("add", "change", "verb"),
    [
        ("devices/{iccid}/packages", "devices/{iccid}/packages/{package}/status", "PUT"),
        ("sim/{iccid}/addPackage", "package/{package}/status", "POST"),
    ],
)
def test_a_package_lives_from_not_active_over_active_to_terminated_in_both_shapes(
    sandbox: Sandbox, pond: PondCaller, add: str, change: str, verb: str
) -> None:
    added = pond.http.post(add.format(iccid=A), json={"packageTypeId": 1002})
    package = added.json()["packageId"]

    assert added.status_code == 200
    assert added.json()["status"] == "NOT_ACTIVE"
    assert added.json()["simIccid"] == A
    assert added.json()["packageTypeId"] == 1002
    assert isinstance(added.json()["dateCreated"], int)
    for status in ("ACTIVE", "ACTIVE", "TERMINATED"):
        path = change.format(iccid=A, package=package)
        answer = pond.http.request(verb, path, json={"packageStatus": status})
        assert (answer.status_code, answer.content) == (204, b"")
        assert sandbox.pond.packages(A)[0].status == status
    info = pond.http.get(f"package/{package}/info").json()
    assert info["status"] == "TERMINATED"
    assert info["dateTerminated"] >= info["dateActivated"] >= info["dateCreated"]


def test_adding_is_not_idempotent(sandbox: Sandbox, pond: PondCaller) -> None:
    for _ in range(3):
        pond.add(A)

    assert len({package.package_id for package in sandbox.pond.packages(A)}) == 3


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("NOT_ACTIVE", "TERMINATED", 204),
        ("NOT_ACTIVE", "NOT_ACTIVE", 204),
        ("TERMINATED", "TERMINATED", 204),
        ("ACTIVE", "NOT_ACTIVE", 400),
        ("TERMINATED", "ACTIVE", 400),
        ("TERMINATED", "NOT_ACTIVE", 400),
        ("ACTIVE", "SUSPENDED", 400),
        ("ACTIVE", "terminated", 400),
        ("ACTIVE", None, 400),
    ],
)
def test_only_the_allowed_moves_are_made(
    sandbox: Sandbox, pond: PondCaller, before: str, after: str, status: int
) -> None:
    [package] = sandbox.pond.add_sim(A, [(1001, before)])

    assert pond.move(A, package.package_id, after).status_code == status
    assert sandbox.pond.packages(A)[0].status == (after if status == 204 else before)


@pytest.mark.parametrize("path", ["devices/{iccid}/packages", "sim/{iccid}/package/infos"])
def test_packages_come_in_pages_of_ten_unless_asked_otherwise(
    sandbox: Sandbox, pond: PondCaller, path: str
) -> None:
    statuses = ["ACTIVE", "NOT_ACTIVE", "TERMINATED"]
    ids = {p.package_id for p in sandbox.pond.add_sim(A, [(1001, statuses[n % 3]) for n in range(25)])}
    path = path.format(iccid=A)

    first = pond.http.get(path).json()
    pages = [pond.http.get(path, params={"offset": at}).json() for at in (0, 10, 20, 30)]
    both = pond.http.get(path, params={"packageStatuses": ["ACTIVE", "NOT_ACTIVE"], "count": 100}).json()

    assert {name: first[name] for name in ("total", "offset", "count")} == {
        "total": 25,
        "offset": 0,
        "count": 10,
    }
    assert [len(page["elements"]) for page in pages] == [10, 10, 5, 0]
    found = [element["packageId"] for page in pages for element in page["elements"]]
    assert set(found) == ids
    assert found == sorted(found)
    assert both["total"] == 17
    assert {element["status"] for element in both["elements"]} == {"ACTIVE", "NOT_ACTIVE"}


def test_packages_can_be_sorted_the_other_way(sandbox: Sandbox, pond: PondCaller) -> None:
    sandbox.pond.add_sim(A, [(1001, "ACTIVE")] * 3)
    path = f"devices/{A}/packages"

    up = pond.http.get(path).json()["elements"]
    down = pond.http.get(path, params={"sortField": "packageId", "sortOrder": "DESC"}).json()["elements"]

    assert down == up[::-1]


@pytest.mark.parametrize(
    "query", ["offset=-1", "count=ten", "packageStatuses=PENDING", "sortField=name", "sortOrder=up"]
)
def test_a_wrong_query_is_refused(pond: PondCaller, query: str) -> None:
    assert refusal(pond.http.get(f"devices/{A}/packages?{query}"), 400)


def test_a_device_shows_identity_and_status(sandbox: Sandbox, pond: PondCaller) -> None:
    device = pond.http.get(f"devices/{A}").json()

    assert device["iccid"] == A
    assert device["simDataServiceStatus"] == "ENABLED"
    assert device["statusOfSim"] == "In-Service"
    assert pond.http.get(f"sim/{A}/status").json() == {
        name: device[name]
        for name in (
            "simDataServiceStatus",
            "simVoiceServiceStatus",
            "simSmsServiceStatus",
            "statusOfSim",
            "status",
        )
    }
    identity = pond.http.get(f"sim/{A}").json()
    assert identity == pond.http.get(f"sim/{A}/info").json()
    assert "status" not in identity


@pytest.mark.parametrize(("verb", "path"), [("PUT", "devices/{}/status"), ("POST", "sim/{}/status")])
def test_services_are_switched_each_for_itself(
    sandbox: Sandbox, pond: PondCaller, verb: str, path: str
) -> None:
    body = {"simDataServiceStatus": "DISABLED", "simSmsServiceStatus": "DISABLED"}
    answer = pond.http.request(verb, path.format(A), json=body)
    sim = sandbox.pond.sim(A)

    assert (answer.status_code, answer.content) == (204, b"")
    assert (sim.data, sim.voice, sim.sms) == ("DISABLED", "ENABLED", "DISABLED")


@pytest.mark.parametrize(
    "body", [{}, {"status": "ENABLED"}, {"simDataServiceStatus": "on"}, {"simDataServiceStatus": []}, []]
)
def test_a_service_that_cannot_be_switched_so_is_refused(pond: PondCaller, body: object) -> None:
    assert refusal(pond.http.put(f"devices/{A}/status", json=body), 400) == "invalid request body"


@pytest.mark.parametrize(
    "body", [{}, [], {"packageTypeId": "1001"}, {"packageTypeId": True}, {"packageTypeId": 1001, "x": 1}]
)
def test_a_package_that_cannot_be_meant_is_refused(sandbox: Sandbox, pond: PondCaller, body: object) -> None:
    assert refusal(pond.http.post(f"devices/{A}/packages", json=body), 400)
    assert sandbox.pond.packages(A) == []


def test_an_unknown_package_type_and_a_body_that_is_no_json_are_refused(
    sandbox: Sandbox, pond: PondCaller
) -> None:
    path = f"devices/{A}/packages"

    assert "9999" in refusal(pond.add(A, 9999), 400)
    assert refusal(pond.http.post(path, content=b"{", headers={"Content-Type": "application/json"}), 400)
    assert refusal(pond.http.post(path, content=b'{"packageTypeId": 1001}'), 400)
    sandbox.pond.package_types.add(9999)
    assert pond.add(A, 9999).status_code == 200


@pytest.mark.parametrize("iccid", ["1234567890123456X89", "12345678901234567", "89" * 12])
def test_an_iccid_of_a_wrong_form_is_refused(pond: PondCaller, iccid: str) -> None:
    assert refusal(pond.http.get(f"devices/{iccid}"), 400)


def test_the_accepted_length_can_be_set() -> None:
    with Sandbox(SandboxConfig(iccid_lengths=(19, 19))) as sandbox:
        caller = PondCaller(sandbox)
        sandbox.pond.add_sim("89148000001234567898")
        with caller.http:
            assert refusal(caller.http.get("devices/89148000001234567898"), 400)


@pytest.mark.parametrize("key", [None, "wrong"])
def test_without_the_key_nobody_is_let_in(sandbox: Sandbox, pond: PondCaller, key: str | None) -> None:
    del pond.http.headers[sandbox.config.api_key_header]
    headers = {"x-api-key": key} if key else {}

    assert refusal(pond.http.get(f"devices/{A}", headers=headers), 401)


def test_key_header_and_basic_authorisation_can_be_set() -> None:
    config = SandboxConfig(api_key_header="ApiKey", pond_username="user", pond_password="word")
    with Sandbox(config) as sandbox:
        sandbox.pond.add_sim(A)
        caller = PondCaller(sandbox)
        with caller.http:
            assert refusal(caller.http.get(f"devices/{A}"), 401)
            assert refusal(caller.http.get(f"devices/{A}", auth=("user", "wrong")), 401)
            assert caller.http.get(f"devices/{A}", auth=("user", "word")).status_code == 200


def test_a_foreign_distributor_is_refused(sandbox: Sandbox, pond: PondCaller) -> None:
    assert refusal(pond.http.get(f"{sandbox.pond_url}/4321/devices/{A}"), 403)


@pytest.mark.parametrize("status", [404, 400, 403])
def test_an_unknown_sim_is_refused_as_the_switch_says(
    sandbox: Sandbox, pond: PondCaller, status: int
) -> None:
    sandbox.pond.unknown_sim_status = status

    assert refusal(pond.add("8910300000009999999"), status)


def test_a_package_is_found_at_its_own_sim_only(sandbox: Sandbox, pond: PondCaller) -> None:
    [package] = sandbox.pond.add_sim(A, [(1001, "ACTIVE")])

    assert refusal(pond.move(B, package.package_id, "TERMINATED"), 404)
    assert refusal(pond.move(A, "00000000-0000-4000-8000-000000000000", "TERMINATED"), 404)
    assert refusal(pond.http.get("package/nonsense/info"), 404)


def test_a_terminated_sim_takes_nothing_more(sandbox: Sandbox, pond: PondCaller) -> None:
    sandbox.pond.add_sim(A, state="Terminated")

    assert refusal(pond.add(A), 400)
    assert refusal(pond.http.put(f"devices/{A}/status", json={"simDataServiceStatus": "ENABLED"}), 400)


def test_the_request_id_is_echoed_also_on_a_refusal(pond: PondCaller) -> None:
    for path in (f"devices/{A}", "devices/x"):
        assert pond.http.get(path, headers={"RequestId": "run-7"}).headers["RequestId"] == "run-7"


@pytest.mark.parametrize(("verb", "path"), [("GET", "nothing"), ("DELETE", f"devices/{A}")])
def test_what_is_not_served_is_not_found(pond: PondCaller, verb: str, path: str) -> None:
    assert refusal(pond.http.request(verb, path), 404)


@pytest.mark.parametrize("prefix", ["", "/v9", "a/b/"])
def test_the_path_prefix_can_be_set(prefix: str) -> None:
    with Sandbox(SandboxConfig(pond_prefix=prefix)) as sandbox:
        sandbox.pond.add_sim(A)
        caller = PondCaller(sandbox)
        with caller.http:
            assert caller.http.get(f"devices/{A}").status_code == 200


def test_times_may_come_in_milliseconds() -> None:
    with Sandbox(SandboxConfig(epoch_milliseconds=True)) as sandbox:
        sandbox.pond.add_sim(A)
        caller = PondCaller(sandbox)
        with caller.http:
            assert caller.add(A).json()["dateCreated"] > 10**12


def test_the_seeded_sims_hold_what_pond_can_hold(sandbox: Sandbox, pond: PondCaller) -> None:
    iccids = list(seeded_pond_iccids(sandbox.config))
    sims = [sandbox.pond.sim(iccid) for iccid in iccids]

    assert {len(sim.packages) for sim in sims} == {0, 1, 2}
    assert {p.status for sim in sims for p in sim.packages} == {"NOT_ACTIVE", "ACTIVE", "TERMINATED"}
    assert {sim.state for sim in sims} == {"Pre-Service", "In-Service", "Terminated"}
    two = next(sim for sim in sims if len(sim.packages) == 2)
    for package in two.packages:
        assert pond.http.get(f"package/{package.package_id}/info").json()["simIccid"] == two.iccid
        path = f"package/{package.package_id}/status"
        assert pond.http.post(path, json={"packageStatus": "TERMINATED"}).status_code == 204
    assert [p.status for p in sandbox.pond.packages(two.iccid)] == ["TERMINATED", "TERMINATED"]
    assert len(sandbox.pond) == 102


def test_a_test_can_change_packages_behind_everybodys_back(sandbox: Sandbox) -> None:
    package = sandbox.pond.add_package(A, 1001, "TERMINATED")
    sandbox.pond.set_package_status(package.package_id, "ACTIVE")

    assert [p.package_id for p in sandbox.pond.packages(A, "ACTIVE")] == [package.package_id]
    with pytest.raises(KeyError):
        sandbox.pond.set_package_status("nonsense", "ACTIVE")
    with pytest.raises(KeyError):
        sandbox.pond.packages("8910300000009999999")
