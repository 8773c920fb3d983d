"""What `retry-failed` and `ingest` do when a carrier, the tokens or the queue fail in the middle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, World

pytestmark = pytest.mark.faults

A, B = ICCIDS[:2]
PLAN = 1001
REQUEST = json.dumps({"UpdateStatus": "Active", "Request": {"PackageTypeId": PLAN}})
OUTAGE = {"PONDCTL_LIMITS__OUTAGE_SECONDS": "3"}


def failed(iccid: str, **more: Any) -> dict[str, Any]:
    return {
        "ICCID": iccid,
        "Status": "API_FAILED",
        "StatusDetails": "network: connection reset",
        "IsProcessed": True,
        "HasErrors": True,
    } | more


def given(world: World, *iccids: str) -> int:
    for number, iccid in enumerate(iccids):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    return world.given(*map(failed, iccids))


def test_a_carrier_that_is_down_is_exit_7_and_the_next_check_finishes_it(world: World) -> None:
    bulk = given(world, A, B)
    world.sandbox.fault(Fault("thingspace.*", FaultKind.STATUS, 503))

    result = world.run("retry-failed", bulk, "-o", "json", **OUTAGE)

    assert result.exit_code == 7
    assert result.json["status"] == "error"
    assert result.json["error"]["code"] == "carrier_unavailable"
    assert len(world.messages(bulk)) == 1
    world.sandbox.clear_faults()
    again = world.run("retry-failed", bulk, "-o", "json")
    assert again.exit_code == 0, again.stderr
    assert all(row["MSISDN"] for row in world.rows(bulk))
    taken_up = [e for e in world.log(bulk) if e["LogEntryDescription"].startswith("pondctl retry-failed: ")]
    assert len(taken_up) == 2


def test_one_carrier_that_is_down_does_not_hold_up_the_other(world: World) -> None:
    world.settings |= {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]"}
    first, second = given(world, A), given(world, B)
    there = world.given(failed(A, ChangeRequest=REQUEST), provider=4)
    world.sandbox.pond.add_sim(A)
    world.sandbox.fault(Fault("thingspace.*", FaultKind.STATUS, 503))
    before = world.rows(second), world.header(second)

    result = world.run("retry-failed", "--category", "network", "-o", "json", **OUTAGE)

    assert result.exit_code == 7
    assert [p.status for p in world.sandbox.pond.packages(A)] == ["ACTIVE"]
    assert (world.rows(second), world.header(second)) == before
    assert f"not begun: bulk change {second}" in json.dumps(result.json["hints"])
    assert [part["id"] for part in result.json["bulk_changes"]] == [str(first), str(there)]
    world.sandbox.clear_faults()
    assert world.run("retry-failed", "--category", "network").exit_code == 0
    assert world.rows(first)[0]["MSISDN"]
    assert world.rows(second)[0]["MSISDN"]


def test_refused_credentials_are_exit_4_and_nothing_more_is_taken_up(world: World) -> None:
    first, second = given(world, A), given(world, B)
    before = world.rows(second), world.header(second)

    result = world.run("retry-failed", first, second, "-o", "json", PONDCTL_THINGSPACE__PASSWORD="wrong")

    assert result.exit_code == 4
    assert (world.rows(second), world.header(second)) == before
    assert world.calls("thingspace.login") == 1
    assert "wrong" not in result.stdout + result.stderr
    assert world.run("retry-failed", first, second).exit_code == 0
    assert world.rows(first)[0]["MSISDN"]


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.CUT_BODY, FaultKind.LATE])
def test_17_a_lost_answer_adds_no_second_package(world: World, kind: FaultKind) -> None:
    world.settings |= {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]", "PONDCTL_POND__SETTLE_SECONDS": "1"}
    bulk = world.given(failed(A, ChangeRequest=REQUEST), provider=4)
    world.sandbox.pond.add_sim(A)
    value = 0.3 if kind is FaultKind.LATE else None
    world.sandbox.fault(Fault("pond.add_package", kind, value, count=1))

    result = world.run("retry-failed", bulk, "-o", "json")

    assert result.exit_code in (0, 9), result.stderr
    if result.exit_code == 9:
        assert world.run("retry-failed", bulk).exit_code == 0
    assert len(world.sandbox.pond.packages(A)) == 1
    assert world.rows(bulk)[0]["Status"] == "PROCESSED"


def test_a_notification_while_the_carrier_is_down_changes_nothing_but_a_check(world: World) -> None:
    bulk = world.given(A)
    world.sandbox.fault(Fault("thingspace.*", FaultKind.STATUS, 503))
    document = json.dumps({"deviceIds": [{"id": A, "kind": "iccid"}], "status": "Success"})
    before = world.rows(bulk), world.header(bulk), world.log(bulk)

    result = world.run("ingest", "-", "-o", "json", stdin=document, **OUTAGE)

    assert result.exit_code == 7
    assert (world.rows(bulk), world.header(bulk), world.log(bulk)) == before
    assert len(world.messages(bulk)) == 1


def test_a_queue_that_is_not_there_is_exit_7_and_the_rows_are_saved(world: World) -> None:
    bulk = given(world, A, B)
    settings = {
        "PONDCTL_QUEUE__URL": "http://127.0.0.1:9/123456789012/bulk-change",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    result = world.run("retry-failed", bulk, "--enqueue", "-o", "json", **settings)

    assert result.exit_code == 7, result.stderr
    assert result.json["counts"]["deferred"] == 2
    assert result.json["error"]["code"] == "queue_unavailable"
    assert [row["IsProcessed"] for row in world.rows(bulk)] == [False, False]
    assert len(world.messages(bulk)) == 1
