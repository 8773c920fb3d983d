"""`pondctl sync-bulk` over many devices: which way is taken, what a scan may settle, and what is printed."""

from __future__ import annotations

import csv
import io
import json

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, Result, World

MANY = [f"8914801111{number:010d}" for number in range(4100)]  # three pages


@pytest.fixture
def large(world: World) -> World:
    """An account of three pages."""
    for iccid in MANY:
        world.thingspace.add(iccid, state="active", msisdn=f"1{iccid[-10:]}")
    return world


def way(result: Result) -> str:
    return str(result.json["hints"][0])


def test_auto_learns_how_large_the_account_is_and_says_which_way_it_took(large: World) -> None:
    first = large.run("sync-bulk", large.given(*MANY[:5]), "-o", "json")
    pages = large.calls("thingspace.page")
    second = large.run("sync-bulk", large.given(*MANY[5:8]), "-o", "json")
    third = large.run("sync-bulk", large.given(*MANY[8:12]), "-o", "json")

    assert way(first).startswith("strategy: the account's size is not known")
    assert (pages, [result.exit_code for result in (first, second, third)]) == (3, [0, 0, 0])
    assert way(second) == "strategy: 3 lookups instead of 3 pages of the account"
    assert way(third) == "strategy: 3 pages of the account instead of 4 lookups"
    assert large.calls("thingspace.lookup") == 3
    assert large.calls("thingspace.page") == 6


def test_an_account_of_unknown_size_is_read_no_longer_than_lookups_would_take(large: World) -> None:
    bulk = large.given(MANY[0], MANY[-1])

    result = large.run("sync-bulk", bulk, "-o", "json")

    assert result.json["counts"]["done"] == 2
    assert large.calls("thingspace.page") == 1
    assert large.calls("thingspace.lookup") == 1
    [scan] = [row for row in large.log(bulk) if row["M2MDeviceChangeId"] is None]
    assert (scan["HasErrors"], scan["ErrorText"]) == (False, None)
    # What was not read to its end says nothing about the size.
    assert way(large.run("sync-bulk", large.given(*MANY[1:3]), "-o", "json")).startswith(
        "strategy: the account's size is not known"
    )


def test_a_device_that_a_scan_did_not_show_is_asked_for_before_it_is_settled(world: World) -> None:
    """It may have come to the carrier meanwhile, or stand in another account that the user may read."""
    shown, late, none = ICCIDS[:3]
    world.thingspace.add(shown, state="active", msisdn="12015550123")
    world.thingspace.add(late, state="active", msisdn="12015550124", account_name="0000000001-00001")
    bulk = world.given(shown, late, none, none)

    result = world.run("sync-bulk", bulk, "--strategy", "scan", "-o", "json")

    outcomes = [(device["iccid"], device["outcome"]) for device in result.json["devices"]]
    assert sorted(outcomes) == sorted([(shown, "done"), (late, "done"), (none, "failed"), (none, "failed")])
    assert world.calls("thingspace.lookup") == 2


def test_a_page_that_stays_away_leaves_the_rest_to_lookups(large: World) -> None:
    bulk = large.given(MANY[0], MANY[-1])
    large.sandbox.fault(Fault("thingspace.page", FaultKind.STATUS, 400, after=1))

    result = large.run("sync-bulk", bulk, "--strategy", "scan", "-o", "json")

    assert result.json["counts"]["done"] == 2
    assert large.calls("thingspace.lookup") == 1
    [scan] = [row for row in large.log(bulk) if row["M2MDeviceChangeId"] is None]
    assert "(incomplete)" in scan["LogEntryDescription"]
    assert (scan["HasErrors"], "broke off" in scan["ErrorText"]) == (True, True)


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.THROTTLE_DATE])
def test_a_throttling_carrier_is_left_alone_as_long_as_it_asks(world: World, kind: FaultKind) -> None:
    for iccid in ICCIDS[:8]:
        world.thingspace.add(iccid, state="active", msisdn="12015550123")
    world.sandbox.fault(Fault("thingspace.lookup", kind, 1, count=2, after=2))
    bulk = world.given(*ICCIDS[:8])

    result = world.run("sync-bulk", bulk, "--strategy", "lookup", "-o", "json")

    assert result.json["counts"]["done"] == 8
    assert world.calls("thingspace.lookup") == 10


def hostile(world: World) -> int:
    """A bulk change of 60 rows that fail, of which one holds words that are no data."""
    return world.given("=\x1b[31mcmd", *(f"no-{number}" for number in range(59)))


def test_jsonl_is_a_line_for_each_device_and_one_for_the_run(world: World) -> None:
    result = world.run("sync-bulk", hostile(world), "-o", "jsonl")

    *devices, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert [device["outcome"] for device in devices] == ["skipped"] * 60
    assert {type(device["device_change_id"]) for device in devices} == {str}
    assert list(last) == ["summary"]
    assert (last["summary"]["status"], last["summary"]["counts"]["skipped"]) == ("partial", 60)
    assert "\x1b" not in result.stdout + result.stderr


def test_a_csv_cell_is_no_formula(world: World) -> None:
    result = world.run("sync-bulk", hostile(world), "-o", "csv")

    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 60
    assert rows[0]["iccid"].startswith("'=")
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_table_shows_fifty_and_the_way_to_the_rest_whole_at_any_width(world: World, columns: str) -> None:
    named = [f"8914877{number:012d}0" for number in range(60)]

    result = world.run("sync-bulk", world.given(*named), "--accept-not-found", COLUMNS=columns)

    lines = result.stdout.splitlines()
    assert sum(iccid in result.stdout for iccid in named) == 50
    [rest] = [line for line in lines if "more not done" in line]
    [run] = world.own("run")
    assert rest == f"10 more not done; `pondctl runs show {run['run_id']} --all` shows all of them"
    assert "\x1b" not in result.stdout
