"""What `sync-bulk` does when ThingSpace, the network or the tokens fail in the middle."""

from __future__ import annotations

import json

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, World

pytestmark = pytest.mark.faults

A, B = ICCIDS[:2]


def active(world: World, *iccids: str) -> int:
    for number, iccid in enumerate(iccids):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    return world.given(*iccids)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("thingspace.lookup", FaultKind.STATUS, 503, count=1),
        Fault("thingspace.lookup", FaultKind.STATUS, 500, count=1),
        Fault("thingspace.lookup", FaultKind.THROTTLE, 1, count=1),
        Fault("thingspace.lookup", FaultKind.THROTTLE_DATE, 1, count=1),
        Fault("thingspace.lookup", FaultKind.CUT_BEFORE, count=1),
        Fault("thingspace.lookup", FaultKind.CUT_AFTER, count=1),
        Fault("thingspace.lookup", FaultKind.CUT_BODY, count=1),
        Fault("thingspace.lookup", FaultKind.HTML, count=1),
        Fault("thingspace.lookup", FaultKind.TRUNCATED, count=1),
        Fault("thingspace.lookup", FaultKind.EXPIRE_BEARER, count=1),
        Fault("thingspace.lookup", FaultKind.EXPIRE_SESSION, count=1),
        Fault("thingspace.login", FaultKind.STATUS, 503, count=1),
        Fault("thingspace.token", FaultKind.STATUS, 503, count=1),
        Fault("thingspace.login", FaultKind.CUT_BEFORE, count=1),
    ],
    ids=str,
)
def test_trouble_that_passes_is_not_seen_in_the_result(world: World, fault: Fault) -> None:
    bulk = active(world, A, B)
    world.sandbox.fault(fault)

    result = world.run("sync-bulk", bulk, "--strategy", "lookup")

    assert result.exit_code == 0, result.stderr
    assert all(row["MSISDN"] for row in world.rows(bulk))


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (FaultKind.STATUS, "carrier_unavailable"),
        (FaultKind.THROTTLE, "rate_limited"),
        (FaultKind.CUT_BEFORE, "network"),
        (FaultKind.HTML, "carrier_unavailable"),
        (FaultKind.OTHER_DEVICE, "carrier_unavailable"),
    ],
)
def test_a_device_in_lasting_trouble_is_deferred_and_its_check_queued(
    world: World, kind: FaultKind, category: str
) -> None:
    bulk = active(world, A, B)
    value = 1 if kind is FaultKind.THROTTLE else None
    world.sandbox.fault(Fault("thingspace.lookup", kind, value, contains=A))

    result = world.run("sync-bulk", bulk, "--strategy", "lookup", "-o", "json")

    assert result.exit_code == 8, result.stderr
    devices = {device["iccid"]: device for device in result.json["devices"]}
    assert devices[A]["outcome"] == "deferred"
    assert devices[A]["category"] == category
    assert devices[B]["outcome"] == "done"
    assert 0 <= result.json["retry"]["delay_seconds"] <= 120
    assert [row["IsProcessed"] for row in world.rows(bulk)] == [False, True]
    assert len(world.messages(bulk)) == 1


def test_an_error_inside_a_200_is_no_device(world: World) -> None:
    bulk = active(world, A)
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.ERROR_IN_200))

    result = world.run("sync-bulk", bulk, "--strategy", "lookup")

    assert result.exit_code in (3, 8)
    assert world.rows(bulk)[0]["MSISDN"] is None


def test_a_carrier_that_is_down_ends_the_run_in_time_with_nothing_half_written(world: World) -> None:
    bulk = active(world, *ICCIDS)
    world.sandbox.fault(Fault("thingspace.*", FaultKind.STATUS, 503))
    before = world.rows(bulk), world.header(bulk), world.log(bulk)

    result = world.run("sync-bulk", bulk, "-o", "json", PONDCTL_LIMITS__OUTAGE_SECONDS="3")

    assert result.exit_code == 7
    assert result.json["error"]["code"] == "carrier_unavailable"
    assert (world.rows(bulk), world.header(bulk), world.log(bulk)) == before
    [message] = world.messages(bulk)
    assert message["retry_number"] == 0


def test_an_outage_in_the_middle_keeps_what_was_decided_and_the_next_run_finishes(world: World) -> None:
    bulk = active(world, *ICCIDS)
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.STATUS, 503, after=10))

    first = world.run(
        "sync-bulk", bulk, "--strategy", "lookup", "-o", "json", PONDCTL_LIMITS__OUTAGE_SECONDS="3"
    )

    assert first.exit_code == 7
    decided = [row for row in world.rows(bulk) if row["MSISDN"]]
    assert 1 <= len(decided) < len(ICCIDS)
    assert first.json["counts"]["done"] == len(decided)
    assert first.json["error"]["code"] == "carrier_unavailable"
    assert world.header(bulk)["Status"] == "PROCESSING"
    world.sandbox.clear_faults()
    assert world.run("sync-bulk", bulk).exit_code == 0
    assert world.header(bulk)["Status"] == "PROCESSED"


def test_an_unreachable_carrier_is_exit_7(world: World) -> None:
    bulk = active(world, A)

    result = world.run(
        "sync-bulk",
        bulk,
        PONDCTL_THINGSPACE__BASE_URL="http://127.0.0.1:9/api",
        PONDCTL_LIMITS__OUTAGE_SECONDS="2",
    )

    assert result.exit_code == 7
    assert "Traceback" not in result.stderr


def test_a_database_that_is_not_there_is_named(world: World) -> None:
    result = world.run("sync-bulk", 1, PONDCTL_DATABASE__URL="sqlite:////nonexistent/folder/x.db")

    assert result.exit_code == 2
    assert "/nonexistent/folder/x.db" in result.stderr
    assert "pondctl db init" in result.stderr


@pytest.mark.parametrize(
    "kind",
    [FaultKind.REPEAT_PAGE, FaultKind.STUCK_CURSOR, FaultKind.NO_DEVICE_ID, FaultKind.FOREIGN_ACCOUNT],
)
def test_a_listing_that_contradicts_itself_settles_nothing_as_unknown(world: World, kind: FaultKind) -> None:
    many = [f"8914801111{number:010d}" for number in range(4500)]
    for iccid in many:
        world.thingspace.add(iccid, state="active", msisdn="12015550000")
    last = many[-1]
    bulk = world.given(last, A)
    world.sandbox.fault(Fault("thingspace.page", kind, after=1))

    result = world.run("sync-bulk", bulk, "--strategy", "scan", "-o", "json")

    outcomes = {device["iccid"]: device["outcome"] for device in result.json["devices"]}
    assert outcomes == {last: "done", A: "failed"}
    assert world.calls("thingspace.lookup") >= 1


def test_json_is_one_document_also_when_the_run_is_cut_short(world: World) -> None:
    bulk = active(world, *ICCIDS)
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.STATUS, 401, after=5))

    result = world.run("sync-bulk", bulk, "--strategy", "lookup", "-o", "json")

    document = json.loads(result.stdout)
    assert result.exit_code in (4, 7)
    assert document["status"] == "error"
    assert len(document["devices"]) == document["counts"].get("done", 0)
