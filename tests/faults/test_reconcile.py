"""What `reconcile` says when a carrier answers half, not at all, or against itself; and how it is stopped."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.commands.test_reconcile import DONE, NUMBER, POND, apply, check, drift, kinds, untouched
from tests.pond_life import given_plan, sims, until
from tests.world import ICCIDS, World

pytestmark = pytest.mark.faults

A, B, C = ICCIDS[:3]
GONE = "89148999999999999999"
SHORT = {"PONDCTL_LIMITS__OUTAGE_SECONDS": "1", "PONDCTL_LIMITS__CALL_SECONDS": "1"}


def many(world: World, count: int) -> list[str]:
    """Devices of the account that fill more than one page, all of them settled here."""
    iccids = [f"89148{number:015d}" for number in range(count)]
    for number, iccid in enumerate(iccids):
        world.thingspace.add(iccid, msisdn=f"1201{number:07d}")
    return iccids


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.REPEAT_PAGE,
        FaultKind.STUCK_CURSOR,
        FaultKind.NO_DEVICE_ID,
        FaultKind.FOREIGN_ACCOUNT,
    ],
)
def test_a_listing_that_contradicts_itself_proves_nothing_missing(world: World, kind: FaultKind) -> None:
    shown = many(world, 2500)
    world.given({"ICCID": shown[0], **DONE}, {"ICCID": GONE, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.sandbox.fault(Fault("thingspace.page", kind, after=int(kind is FaultKind.REPEAT_PAGE)))

    result = check(world, **SHORT)

    assert result.exit_code == 7, result.stdout
    assert (result.json["complete"], result.json["status"]) == (False, "error")
    assert result.json["error"]["code"] in ("listing", "unavailable")
    assert "settled_not_active" not in kinds(result)


def test_what_an_incomplete_listing_did_show_is_still_reported(world: World) -> None:
    shown = many(world, 2500)
    world.given({"ICCID": shown[0], **DONE}, {"ICCID": GONE, **DONE}, Status="PROCESSED")
    world.sandbox.fault(Fault("thingspace.page", FaultKind.STATUS, 503, after=1))

    result = check(world, **SHORT)

    assert result.exit_code == 7
    assert drift(result) == [("msisdn_missing", shown[0], None, "12010000000")]


@pytest.mark.parametrize("words", [[], ["-q"]], ids=["", "quiet"])
def test_an_outage_tells_what_the_other_places_showed_and_exits_7(world: World, words: list[str]) -> None:
    world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSING")
    world.sandbox.fault(Fault("thingspace.*", FaultKind.CUT_BEFORE))

    result = check(world, *words, **SHORT)

    assert result.exit_code == 7
    assert kinds(result) == ["header_open"]
    assert result.json["complete"] is False


def test_refused_credentials_exit_4_and_the_database_is_still_looked_at(world: World) -> None:
    world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSING")

    result = check(world, PONDCTL_THINGSPACE__PASSWORD="wrong")

    assert result.exit_code == 4
    assert kinds(result) == ["header_open"]


def test_a_device_that_can_be_asked_about_proves_that_the_listing_is_not_whole(world: World) -> None:
    """The account listing forgets a device that a lookup finds."""
    world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER, account_name="0000000000-00009")
    world.thingspace.add(B)

    result = check(world)

    assert result.exit_code == 7, result.stdout
    assert kinds(result) == []
    assert result.json["complete"] is False


def test_an_account_that_has_shrunk_is_believed_the_second_time(world: World) -> None:
    rows = [{"ICCID": iccid, "MSISDN": f"1201{n:07d}", **DONE} for n, iccid in enumerate(many(world, 90))]
    world.given(*rows, Status="PROCESSED")
    assert check(world).exit_code == 0
    for row in rows[:40]:
        world.thingspace.remove(row["ICCID"])

    first, second = check(world), check(world)

    assert (first.exit_code, first.json["complete"], kinds(first)) == (7, False, [])
    assert second.exit_code == 5
    assert kinds(second) == ["settled_not_active"] * 40


def test_where_most_devices_are_not_in_the_account_the_account_is_doubted(world: World) -> None:
    world.given(*({"ICCID": i, "MSISDN": NUMBER, **DONE} for i in ICCIDS[:30]), Status="PROCESSED")

    result = check(world)

    assert result.exit_code == 7
    assert kinds(result) == []
    assert "account_name" in result.stderr


def test_where_pond_knows_hardly_a_sim_the_distributor_is_doubted(world: World) -> None:
    for iccid in ICCIDS[:30]:
        given_plan(world, iccid, f"P{iccid}", 1001)

    result = apply(world)

    assert result.exit_code == 7
    assert kinds(result) == []
    assert "distributor_id" in result.stderr


def test_a_sim_that_gave_no_answer_is_asked_again_first_the_next_time(world: World) -> None:
    for iccid in (A, B, C):
        sims(world, iccid, packages=((1001, "ACTIVE"),))
        given_plan(world, iccid, f"P{iccid}", 1001, "TERMINATED")
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.STATUS, 503, contains=B))

    first = check(world, **SHORT)
    assert first.exit_code == 7
    assert first.json["complete"] is False
    assert first.json["pond"]["checked"] == 2
    assert first.json["pond"]["never_checked"] == 1
    assert {d["iccid"] for d in first.json["drift"]} == {A, C}

    world.sandbox.clear_faults()
    second = check(world, "--workers", 1)
    assert second.json["pond"]["checked"] == 3
    order = [call.path for call in world.sandbox.calls.recent("pond.list_packages")][-3:]
    assert B in order[0]


def test_with_little_time_pond_goes_on_where_it_stopped(world: World) -> None:
    for iccid in ICCIDS[:12]:
        [package] = world.sandbox.pond.add_sim(iccid, [(1001, "ACTIVE")])
        given_plan(world, iccid, package.package_id, 1001)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 0.25))

    seen: list[int] = []
    for _ in range(6):
        result = check(world, "--max-runtime", "1s", "--workers", 1)
        assert result.exit_code == 0, result.stderr
        seen.append(result.json["pond"]["never_checked"])
        if not seen[-1]:
            break

    assert seen == sorted(seen, reverse=True)
    assert 0 < seen[0] < 12
    assert seen[-1] == 0
    assert result.json["pond"]["oldest_check_seconds"] >= 0


def test_devices_with_an_unknown_write_are_looked_at_before_all_others(world: World) -> None:
    from tests.commands.test_reconcile import lost_add

    for iccid in ICCIDS[1:6]:
        sims(world, iccid)
        given_plan(world, iccid, f"P{iccid}", 1001, "TERMINATED")
    lost_add(world, shows=True)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 0.6))

    result = check(world, "--max-runtime", "1s", "--workers", 1)

    assert "open_intent" in kinds(result)
    assert A in world.sandbox.calls.recent("pond.list_packages")[0].path


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_order_with_what_was_found(world: World, number: int, code: int) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSING")
    for iccid in ICCIDS[1:20]:
        sims(world, iccid)
        given_plan(world, iccid, f"P{iccid}", 1001)
    world.thingspace.add(A, msisdn=NUMBER)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 0.5))
    before = world.header(bulk)
    words = ("reconcile", "--apply", "--max-changes", "99", "-o", "json", "--workers", "1")
    process = world.spawn(*words, **POND)
    until(lambda: world.calls("pond.list_packages") >= 2)

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=25)

    assert process.returncode == code, stderr
    document: dict[str, Any] = json.loads(stdout)
    assert document["complete"] is False
    assert "header_open" in document["counts"]
    assert world.header(bulk) == before
    assert "pondctl reconcile" in stderr
    assert world.own("run")[-1]["state"] == "interrupted"


def test_of_two_at_once_the_second_says_so(world: World) -> None:
    for iccid in ICCIDS[1:10]:
        sims(world, iccid)
        given_plan(world, iccid, f"P{iccid}", 1001)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 0.4))
    process = world.spawn("reconcile", "--workers", "1", **POND)
    until(lambda: world.calls("pond.list_packages") >= 1)

    second = world.run("reconcile", **POND)
    quiet = world.run("reconcile", "-q", **POND)
    process.communicate(timeout=60)

    assert (second.exit_code, quiet.exit_code) == (6, 6)
    assert quiet.stdout + quiet.stderr == ""


def test_killed_in_the_middle_the_next_one_looks_at_everything(world: World) -> None:
    world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)
    for iccid in ICCIDS[1:10]:
        sims(world, iccid)
        given_plan(world, iccid, f"P{iccid}", 1001)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 0.3))
    process = world.spawn("reconcile", "--workers", "1", **POND)
    until(lambda: world.calls("pond.list_packages") >= 2)
    before = untouched(world)
    process.kill()
    process.communicate()
    world.sandbox.clear_faults()

    result = apply(world)

    assert result.json["mended"] == {"msisdn_missing": 1, "package_row_extra": 9}
    assert untouched(world) != before


def test_a_row_that_somebody_writes_to_while_it_looks_is_left_for_the_next_time(world: World) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, state="pending activation")
    world.execute('UPDATE "M2M_DeviceChange" SET "LastModified" = \'2999-01-01 00:00:00\'')
    assert kinds(check(world)) == ["settled_not_active"], "a clock that is wrong hides nothing"
    assert world.rows(bulk)[0]["MSISDN"] == NUMBER


def test_what_somebody_changes_before_it_is_mended_is_left_and_said(world: World) -> None:
    bulk = world.given({"ICCID": A, **DONE}, {"ICCID": B, **DONE}, Status="PROCESSED")
    for iccid in (A, B):
        world.thingspace.add(iccid, msisdn=NUMBER)
    for iccid in ICCIDS[5:9]:
        sims(world, iccid)
        given_plan(world, iccid, f"P{iccid}", 1001, "TERMINATED")
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 0.5))
    words = ("reconcile", "--apply", "--max-changes", "9", "-o", "json", "--workers", "1")
    process = world.spawn(*words, **POND)
    until(lambda: world.calls("pond.list_packages") >= 1)

    world.execute('UPDATE "M2M_DeviceChange" SET "MSISDN" = \'1\' WHERE "ICCID" = :iccid', iccid=A)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 5, stderr
    document = json.loads(stdout)
    mends = {item["iccid"]: item["mend"] for item in document["drift"]}
    assert mends[A] == "left: it has moved since"
    assert mends[B].startswith("done: ")
    assert [row["MSISDN"] for row in world.rows(bulk)] == ["1", NUMBER]
    assert document["mended"] == {"msisdn_missing": 1}


def test_little_time_for_the_account_says_that_not_all_was_read(world: World) -> None:
    shown = many(world, 4500)
    world.given({"ICCID": shown[0], **DONE}, {"ICCID": GONE, "MSISDN": "1", **DONE}, Status="PROCESSED")
    world.sandbox.fault(Fault("thingspace.page", FaultKind.LATENCY, 0.7))

    result = check(world, "--max-runtime", "1s")

    assert result.exit_code == 7
    assert result.json["complete"] is False
    assert kinds(result) == ["msisdn_missing"]
    assert "--max-runtime" in result.stderr
