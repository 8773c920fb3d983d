"""`reconcile` from the command line to the rows, with simulated carriers at the HTTP edge."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.pond_life import given_plan, own_table, plans, sims, standing, steps, writes
from tests.world import ICCIDS, Result, World

A, B, C = ICCIDS[:3]
NUMBER, OTHER_NUMBER = "12015550123", "12015550199"
DONE = {"Status": "PROCESSED", "IsProcessed": True, "HasErrors": False}
FAILED = {"Status": "API_FAILED", "IsProcessed": True, "HasErrors": True}
POND = {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]", "PONDCTL_POND__SETTLE_SECONDS": "0.2"}


def check(world: World, *words: object, **settings: str) -> Result:
    """One look, as json."""
    return world.run("reconcile", *words, "-o", "json", **(POND | settings))


def apply(world: World, *words: object, **settings: str) -> Result:
    """Mend what may be mended without review."""
    return check(world, "--apply", "--max-changes", 100, *words, **settings)


def drift(result: Result) -> list[tuple[str, Any, Any, Any]]:
    """(kind, ICCID, here, there) of all findings."""
    return [(d["kind"], d["iccid"], d["here"], d["there"]) for d in result.json["drift"]]


def kinds(result: Result) -> list[str]:
    """The kinds of all findings."""
    return [each["kind"] for each in result.json["drift"]]


def untouched(world: World) -> dict[str, Any]:
    """Every table but what each run leaves: itself, its record, and when devices were looked at."""
    leaves = ("run", "device_check", "meta")
    return {n: rows for n, rows in world.everything().items() if not n.endswith(leaves)}


def converges(world: World, **settings: str) -> None:
    """The first pass mends, the second finds nothing to mend, the third writes nothing."""
    assert apply(world, **settings).exit_code in (0, 5)
    second = apply(world, **settings)
    assert second.json["mended"] == {}, second.stdout
    before = untouched(world)
    assert apply(world, **settings).json["mended"] == {}
    assert untouched(world) == before


def test_a_world_in_which_all_agree_has_no_drift(world: World) -> None:
    world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)

    result = check(world)

    assert result.exit_code == 0, result.stderr
    document = result.json
    assert (document["command"], document["status"], document["complete"]) == ("reconcile", "success", True)
    assert (document["counts"], document["drift"]) == ({}, [])
    assert document["run_id"]


def test_a_number_that_is_missing_here_is_written(world: World) -> None:
    bulk = world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)

    found = check(world)
    assert found.exit_code == 5
    assert drift(found) == [("msisdn_missing", A, None, NUMBER)]
    assert found.json["drift"][0]["bulk_change_id"] == str(bulk)
    assert world.rows(bulk)[0]["MSISDN"] is None

    result = apply(world)
    assert result.exit_code == 0, result.stdout
    assert result.json["counts"] == {"msisdn_missing": 1}
    assert result.json["mended"] == {"msisdn_missing": 1}
    assert world.rows(bulk)[0]["MSISDN"] == NUMBER
    [entry] = world.log(bulk)
    assert entry["LogEntryDescription"].startswith("pondctl reconcile: msisdn_missing")
    assert check(world).exit_code == 0


def test_a_number_that_differs_is_corrected(world: World) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": OTHER_NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)

    assert drift(check(world)) == [("msisdn_different", A, OTHER_NUMBER, NUMBER)]
    assert apply(world).exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"] == NUMBER


def test_a_number_that_the_carrier_does_not_show_is_never_taken_away(world: World) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=None)

    assert apply(world).exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"] == NUMBER


@pytest.mark.parametrize("state", ["suspend", "deactive", "pending activation", "under review"])
def test_a_row_settled_for_a_device_that_is_not_active_is_only_reported(world: World, state: str) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, state=state)
    before = world.rows(bulk)

    result = apply(world)

    assert result.exit_code == 5
    assert drift(result) == [("settled_not_active", A, "PROCESSED", state)]
    assert result.json["drift"][0]["mend"] is None
    assert world.rows(bulk) == before


def test_a_settled_device_that_the_account_does_not_have_is_reported(world: World) -> None:
    world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(B, msisdn=NUMBER)

    assert drift(check(world)) == [("settled_not_active", A, "PROCESSED", None)]


def test_a_suspended_device_that_was_to_be_suspended_is_right(world: World) -> None:
    request = json.dumps({"UpdateStatus": "suspend"})
    world.given({"ICCID": A, "ChangeRequest": request, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, state="suspend")
    assert check(world).exit_code == 0

    world.thingspace.add(A, state="active", msisdn=NUMBER)
    assert drift(check(world)) == [("settled_not_as_asked", A, "PROCESSED, asked for suspend", "active")]


@pytest.mark.parametrize("row", [{"Status": "PENDING"}, FAILED], ids=["open", "failed"])
def test_an_active_device_whose_row_is_not_settled_is_settled_and_its_header_closed(
    world: World, row: dict[str, Any]
) -> None:
    bulk = world.given({"ICCID": A, **row}, Status="PROCESSING")
    world.thingspace.add(A, msisdn=NUMBER)

    result = apply(world)

    assert "active_not_settled" in kinds(result)
    [now] = world.rows(bulk)
    assert (now["Status"], now["MSISDN"], now["HasErrors"]) == ("PROCESSED", NUMBER, False)
    assert world.header(bulk)["Status"] == "PROCESSED"
    assert check(world).exit_code == 0, check(world).stdout


def test_a_row_that_a_person_has_cancelled_is_left_alone(world: World) -> None:
    world.given({"ICCID": A, "StatusDetails": "cancelled: by ann", **FAILED}, Status="ERROR")
    world.thingspace.add(A, msisdn=NUMBER)

    assert check(world).exit_code == 0


def test_only_the_newest_row_of_a_device_counts(world: World) -> None:
    world.given({"ICCID": A, "MSISDN": OTHER_NUMBER, **DONE}, Status="PROCESSED")
    world.given({"ICCID": f"{A[:5]}-{A[5:]}F", "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)

    assert check(world).exit_code == 0


def test_a_header_whose_rows_are_all_settled_is_closed(world: World) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSING")
    world.thingspace.add(A, msisdn=NUMBER)

    found = check(world)
    assert kinds(found) == ["header_open"]
    assert found.json["drift"][0]["bulk_change_id"] == str(bulk)
    assert apply(world).exit_code == 0
    assert world.header(bulk)["Status"] == "PROCESSED"


@pytest.mark.parametrize("status", ["PROCESSED", "ERROR"])
def test_a_closed_header_with_open_rows_is_opened_again_with_one_message(world: World, status: str) -> None:
    bulk = world.given(A, Status=status)
    world.thingspace.add(A, state="pending activation")

    assert kinds(check(world)) == ["header_closed"]
    assert apply(world).exit_code == 0
    assert world.header(bulk)["Status"] == "PROCESSING"
    [message] = world.messages(bulk)
    assert message["attributes"]["IsRetryNewActivateThingSpaceDevice"] == "True"
    assert check(world).exit_code == 0


def test_open_rows_that_nobody_would_come_back_to_get_one_message(world: World) -> None:
    bulk = world.given(A, Status="PROCESSING")
    world.thingspace.add(A, state="pending activation")

    assert kinds(check(world)) == ["nothing_queued"]
    assert apply(world).exit_code == 0
    assert len(world.messages(bulk)) == 1
    assert apply(world).exit_code == 0
    assert len(world.messages(bulk)) == 1


def test_a_bulk_change_that_the_host_has_not_begun_is_nobodys_business(world: World) -> None:
    world.given(A, Status="NEW")
    world.thingspace.add(A, state="pending activation")

    assert check(world).exit_code == 0


def test_a_bulk_change_whose_check_is_queued_has_no_drift(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")
    assert world.run("sync-bulk", bulk).exit_code == 8

    assert check(world).exit_code == 0


def test_package_rows_become_what_pond_says(world: World) -> None:
    [package] = world.sandbox.pond.add_sim(A, [(1001, "ACTIVE")])
    given_plan(world, A, package.package_id, 1001, "TERMINATED")
    given_plan(world, A, "never-there", 1002, "ACTIVE")
    [other] = world.sandbox.pond.add_sim(B, [(1003, "ACTIVE")])
    given_plan(world, B, "long-over", 1001, "TERMINATED")

    found = check(world)
    assert found.exit_code == 5
    assert sorted(kinds(found)) == ["package_row_differs", "package_row_extra", "package_row_missing"]
    result = apply(world)
    assert result.exit_code == 0, result.stdout
    now = {(r["ICCID"], r["PackageId"]): r["Status"] for r in plans(world)}
    assert now[A, package.package_id] == "ACTIVE"
    assert now[A, "never-there"] == "TERMINATED"
    assert now[B, other.package_id] == "ACTIVE"
    assert writes(world) == 0
    assert check(world).exit_code == 0


def test_what_became_of_packages_is_kept_with_the_run(world: World) -> None:
    [package] = world.sandbox.pond.add_sim(A, [(1001, "ACTIVE")])
    given_plan(world, A, package.package_id, 1001, "TERMINATED")

    run_id = apply(world).json["run_id"]

    [kept] = [row for row in world.own("outcome") if row["run_id"] == run_id]
    assert "package_row_differs" in kept["detail"]


def test_a_sim_that_pond_does_not_know_is_reported_and_its_rows_stay(world: World) -> None:
    given_plan(world, A, "P1", 1001)
    before = plans(world)

    result = apply(world)

    assert result.exit_code == 5
    assert drift(result) == [("package_row_extra", A, "package P1 (type 1001, ACTIVE)", None)]
    assert plans(world) == before


def test_two_active_packages_are_reported_and_never_ended_without_review(world: World) -> None:
    two_active(world, A)

    result = apply(world)

    assert (result.exit_code, kinds(result)) == (5, ["two_active_packages"])
    assert standing(world, A) == [1001, 1002]
    assert writes(world) == 0


def test_a_package_that_nobody_knows_is_reported_as_an_orphan(world: World) -> None:
    [package] = world.sandbox.pond.add_sim(A, [(1002, "NOT_ACTIVE")])
    given_plan(world, A, "P0", 1001, "TERMINATED")

    result = apply(world)

    assert (result.exit_code, kinds(result)) == (5, ["orphan_package"])
    assert package.package_id in result.json["drift"][0]["there"]


def test_a_settled_activation_without_an_active_package_is_reported(world: World) -> None:
    sims(world, A)
    world.given({"ICCID": A, **DONE}, provider=4, Status="PROCESSED")

    assert drift(check(world)) == [("settled_not_active", A, "PROCESSED", None)]


def lost_add(world: World, *, shows: bool) -> str:
    """An `add_package` of a run that is gone, whose answer is not known; returns its step."""
    packages = [(1001, "NOT_ACTIVE")] if shows else []
    sims(world, A, packages=tuple(packages))
    world.execute(
        f"INSERT INTO {own_table(world, 'run')} (run_id, claim, command, state, actor, host, host_key, pid, "
        "process_started, profile, arguments, cancel_requested, started_at, heartbeat_at, lease_until) "
        "VALUES ('gone', 'gone', 'activate', 'failed', 'ann', 'h', 'k', 1, 0, 'p', '{}', 0, "
        "'2026-11-20 08:00:00', '2026-11-20 08:00:00', '2026-11-20 08:00:45')"
    )
    world.execute(
        f"INSERT INTO {own_table(world, 'step')} (claim, run_id, sequence, carrier, operation, kind, iccid, "
        "service_provider_id, intent, state, opened_at, cut_at) VALUES ('gone:2', 'gone', 2, 'pond', "
        "'activate', 'add_package', :iccid, 4, :intent, 'unknown', '2026-11-20 08:00:00', "
        "'2026-11-20 08:00:45')",
        iccid=A,
        intent=json.dumps({"package_type_id": 1001, "seen": []}),
    )
    return "gone:2"


@pytest.mark.parametrize("shows", [True, False])
def test_an_open_intent_is_read_back_and_closed(world: World, shows: bool) -> None:
    lost_add(world, shows=shows)

    found = check(world)
    assert found.exit_code == 5
    [item] = [each for each in found.json["drift"] if each["kind"] == "open_intent"]
    assert (item["iccid"], item["there"] is not None) == (A, shows)
    assert [step["state"] for step in steps(world)] == ["unknown"]

    result = apply(world)
    assert result.json["mended"].get("open_intent") == 1, result.stdout
    assert [step["state"] for step in steps(world)] == ["done" if shows else "absent"]
    assert writes(world) == 0
    assert "open_intent" not in kinds(check(world))


def test_reading_a_lost_write_back_ends_no_package_and_does_not_say_so(world: World) -> None:
    lost_add(world, shows=True)
    two_active(world, A)

    result = apply(world)
    [pair] = [each for each in result.json["drift"] if each["kind"] == "two_active_packages"]

    assert result.json["mended"].get("open_intent") == 1
    assert "two_active_packages" not in result.json["mended"]
    assert pair["mend"].startswith("only by a reviewed plan"), pair
    assert (writes(world), result.exit_code) == (0, 5)


def letter(world: World, bulk: int) -> None:
    """A dead letter about a bulk change."""
    world.execute(
        f"INSERT INTO {own_table(world, 'dead_letter')} (letter_key, source_queue, bulk_change_id, "
        "retry_number, receive_count, body, attributes, category, reason, attempts, state, requeue_count, "
        "created_at, changed_at) VALUES (:key, 'embedded', :bulk, 6, 1, '', '{}', 'retries_exhausted', 'no', "
        "'[]', 'open', 0, '2026-11-20 08:00:00', '2026-11-20 08:00:00')",
        key=f"letter-{bulk}",
        bulk=bulk,
    )


def test_a_dead_letter_is_discarded_once_the_carrier_shows_all_as_asked(world: World) -> None:
    right = world.given({"ICCID": A, **FAILED}, Status="ERROR")
    wrong = world.given({"ICCID": B, **FAILED}, Status="ERROR")
    letter(world, right)
    letter(world, wrong)
    world.thingspace.add(A, msisdn=NUMBER)
    world.thingspace.add(B, state="deactive")

    found = check(world)
    assert kinds(found).count("dead_letter_right") == 1
    result = apply(world)
    states = {row["bulk_change_id"]: row for row in world.own("dead_letter")}
    assert (states[right]["state"], states[wrong]["state"]) == ("discarded", "open")
    assert result.json["run_id"] in states[right]["change_reason"]
    assert json.loads(states[right]["attempts"])[-1]["event"] == "discarded"


def test_above_the_limit_nothing_is_written(world: World) -> None:
    for iccid in (A, B):
        world.given({"ICCID": iccid, **DONE}, Status="PROCESSED")
        world.thingspace.add(iccid, msisdn=NUMBER)
    before = untouched(world)

    result = world.run("reconcile", "--apply", "--max-changes", 1)

    assert result.exit_code == 5
    assert "nothing was written" in result.stderr
    assert untouched(world) == before


def test_a_look_writes_nothing_but_that_it_looked(world: World) -> None:
    bulk = world.given({"ICCID": A, **DONE}, B, Status="PROCESSED")
    letter(world, bulk)
    world.thingspace.add(A, msisdn=NUMBER)
    sims(world, C, packages=((1001, "ACTIVE"), (1002, "ACTIVE")))
    given_plan(world, C, "P1", 1001)
    before = untouched(world)

    assert check(world).exit_code == 5
    assert untouched(world) == before


def test_a_dry_run_writes_nothing_at_all_and_exits_0(world: World) -> None:
    world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)
    before = world.everything(), world.own("audit"), world.own("device_key")

    result = apply(world, "--dry-run")

    assert result.exit_code == 0
    assert kinds(result) == ["msisdn_missing"]
    assert (world.everything(), world.own("audit"), world.own("device_key")) == before


@pytest.mark.parametrize(
    "words",
    [
        ["--apply"],
        ["--apply", "--plan", "p.json", "--max-changes", 1],
        ["--plan", "p.json"],
        ["--max-changes", 1],
        ["--check", "--apply", "--max-changes", 1],
        ["--apply", "--max-changes", 1, "--plan-out", "p.json"],
        ["--apply", "--plan", "p.json", "--local"],
        ["--apply", "--max-changes", -1],
        ["--max-runtime", "soon"],
        ["--bulk-change", 4711],
        ["--apply", "--plan", "/nowhere/p.json"],
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_usage_and_nothing_is_started(world: World, words: list[object]) -> None:
    assert world.run("reconcile", *words).exit_code == 2
    assert world.own("run") == []


def test_a_viewer_may_look_and_not_apply(world: World) -> None:
    viewer = {"PONDCTL_ACCESS__ROLE": "viewer"}
    assert check(world, **viewer).exit_code == 0
    assert apply(world, **viewer).exit_code == 4
    assert apply(world, PONDCTL_ACCESS__ROLE="operator").exit_code == 4


def test_with_one_carrier_alone_it_says_which_side_was_not_looked_at(world: World) -> None:
    given_plan(world, A, "P1", 1001)
    for name in list(world.settings):
        if name.startswith("PONDCTL_POND__"):
            del world.settings[name]

    result = world.run("reconcile", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert "POND is not configured" in result.stderr
    assert result.json["looked_at"] == {"thingspace": True, "pond": False}


def test_with_no_carrier_at_all_it_names_local(world: World) -> None:
    world.settings = {n: v for n, v in world.settings.items() if "DATABASE" in n}

    result = world.run("reconcile")

    assert result.exit_code == 2
    assert "--local" in result.stderr
    assert world.run("reconcile", "--local").exit_code == 0


def test_one_bulk_change_alone_is_looked_up_and_no_account_is_read(world: World) -> None:
    bulk = world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.given({"ICCID": B, **DONE}, Status="PROCESSED")
    for iccid in (A, B):
        world.thingspace.add(iccid, msisdn=NUMBER)

    result = check(world, "--bulk-change", bulk)

    assert drift(result) == [("msisdn_missing", A, None, NUMBER)]
    assert world.calls("thingspace.page") == 0
    assert apply(world, "--bulk-change", bulk).exit_code == 0
    assert [row["ICCID"] for row in world.everything()['"M2M_DeviceChange"'] if row["MSISDN"]] == [A]


def test_in_one_bulk_change_a_row_with_a_newer_one_elsewhere_does_not_count(world: World) -> None:
    bulk = world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.given({"ICCID": A, "MSISDN": NUMBER, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)

    assert check(world, "--bulk-change", bulk).exit_code == 0


def test_all_formats_tell_the_same(world: World) -> None:
    world.given({"ICCID": A, **DONE}, {"ICCID": B, "MSISDN": OTHER_NUMBER, **DONE}, Status="PROCESSED")
    for iccid in (A, B):
        world.thingspace.add(iccid, msisdn=NUMBER)

    table = world.run("reconcile").stdout
    lines = world.run("reconcile", "-o", "jsonl").stdout.splitlines()
    cells = list(csv.DictReader(io.StringIO(world.run("reconcile", "-o", "csv").stdout)))

    assert "1 msisdn_missing" in table
    assert A in table
    assert [json.loads(line)["iccid"] for line in lines[:-1]] == [A, B]
    summary = json.loads(lines[-1])["summary"]
    assert summary["counts"] == {"msisdn_missing": 1, "msisdn_different": 1}
    assert [(cell["kind"], cell["there"]) for cell in cells] == [
        ("msisdn_missing", NUMBER),
        ("msisdn_different", NUMBER),
    ]


def test_quiet_says_nothing_where_nothing_is_wrong(world: World) -> None:
    assert (world.run("reconcile", "-q").stdout, world.run("reconcile", "-q").stderr) == ("", "")

    world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)
    result = world.run("reconcile", "-q")
    assert result.exit_code == 5
    assert "msisdn_missing" in result.stdout


def test_the_whole_converges(world: World) -> None:
    bulk = world.given({"ICCID": A, **DONE}, {"ICCID": A, "Status": "PENDING"}, Status="PROCESSING")
    world.given(B, Status="PROCESSED")
    world.given({"ICCID": C, **FAILED}, Status="ERROR")
    for iccid in (A, B, C):
        world.thingspace.add(iccid, msisdn=NUMBER)
    sims(world, ICCIDS[5], packages=((1001, "ACTIVE"),))
    given_plan(world, ICCIDS[5], "P1", 1001)
    lost_add(world, shows=True)

    converges(world)

    assert world.rows(bulk)[-1]["MSISDN"] == NUMBER


def two_active(world: World, iccid: str = C) -> tuple[str, str]:
    """A SIM with two ACTIVE packages, of which the database knows both: (the older, the newer)."""
    [old] = world.sandbox.pond.add_sim(iccid, [(1001, "ACTIVE")])
    world.sandbox.advance(60)
    new = world.sandbox.pond.add_package(iccid, 1002)
    for package in (old, new):
        given_plan(world, iccid, package.package_id, package.package_type_id)
    return old.package_id, new.package_id


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Where a plan goes."""
    return tmp_path / "plan.json"


def test_a_plan_does_exactly_what_it_says(world: World, plan: Path) -> None:
    bulk = world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)
    old, _ = two_active(world, B)
    [orphan] = world.sandbox.pond.add_sim(C, [(1003, "NOT_ACTIVE")])
    given_plan(world, C, "P0", 1001, "TERMINATED")
    assert check(world, "--plan-out", plan).exit_code == 5
    document = json.loads(plan.read_text())
    assert {"profile", "database", "created", "items", "sha256"} <= document.keys()
    assert len(document["items"]) == 3
    # What comes after the plan is not in it.
    later = world.given({"ICCID": ICCIDS[9], **DONE}, Status="PROCESSED")
    world.thingspace.add(ICCIDS[9], msisdn=OTHER_NUMBER)

    result = check(world, "--apply", "--plan", plan)

    assert result.exit_code == 0, (result.stdout, result.stderr)
    assert world.rows(bulk)[0]["MSISDN"] == NUMBER
    assert world.rows(later)[0]["MSISDN"] is None
    assert standing(world, B) == [1002]
    assert standing(world, C, "TERMINATED") == [1003]
    assert [step["state"] for step in steps(world, "terminate_package")] == ["done", "done"]
    ended = {row["PackageId"]: row["Status"] for row in plans(world)}
    assert ended[old] == "TERMINATED"
    assert orphan.package_id in ended


def test_what_has_moved_since_the_plan_is_reported_and_left(world: World, plan: Path) -> None:
    bulk = world.given({"ICCID": A, **DONE}, {"ICCID": B, **DONE}, Status="PROCESSED")
    for iccid in (A, B):
        world.thingspace.add(iccid, msisdn=NUMBER)
    two_active(world)
    check(world, "--plan-out", plan)
    world.thingspace.add(A, msisdn=OTHER_NUMBER)
    world.sandbox.pond.add_package(C, 1003)

    result = check(world, "--apply", "--plan", plan)

    assert result.exit_code == 3
    assert result.json["status"] == "partial"
    assert [row["MSISDN"] for row in world.rows(bulk)] == [None, NUMBER]
    assert standing(world, C) == [1001, 1002, 1003]
    left = {d["kind"]: d["mend"] for d in result.json["drift"] if d["mend"].startswith("left")}
    assert set(left) == {"msisdn_missing", "two_active_packages"}


def test_a_locked_device_keeps_its_packages_whatever_the_plan_says(world: World, plan: Path) -> None:
    two_active(world)
    check(world, "--plan-out", plan)
    assert world.run("device", "lock", C, "--reason", "court").exit_code == 0

    result = check(world, "--apply", "--plan", plan)

    assert result.exit_code == 3
    assert "locked" in result.json["drift"][0]["mend"]
    assert standing(world, C) == [1001, 1002]


@pytest.mark.parametrize("damage", ["edited", "cut", "longer", "empty", "not json", "aged", "hash"])
def test_a_plan_that_is_not_as_it_was_written_is_refused(world: World, plan: Path, damage: str) -> None:
    two_active(world)
    check(world, "--plan-out", plan)
    text = plan.read_text()
    plan.write_text(
        {
            "edited": text.replace(C, A),
            "cut": text[: len(text) // 2],
            "longer": text + " ",
            "empty": "",
            "not json": "\x00\xff" * 100,
            "aged": text.replace('"created": "20', '"created": "19'),
            "hash": text.replace('"sha256": "', '"sha256": "0'),
        }[damage]
    )

    result = check(world, "--apply", "--plan", plan)

    assert result.exit_code == 2, result.stdout
    assert "plan" in result.stderr
    assert writes(world) == 0


def test_a_plan_of_another_profile_or_database_or_day_is_refused(
    world: World, plan: Path, tmp_path: Path
) -> None:
    two_active(world)
    check(world, "--plan-out", plan)

    other = world.run("reconcile", "--apply", "--plan", plan, **POND, PONDCTL_PROFILE="other")
    assert other.exit_code == 2

    old = aged(plan, tmp_path / "old.json")
    result = check(world, "--apply", "--plan", old)
    assert result.exit_code == 2
    assert "24 hours" in result.stderr
    assert writes(world) == 0


def aged(plan: Path, path: Path) -> Path:
    """The same plan, made two days earlier, with a hash that fits."""
    import hashlib

    *lines, _ = plan.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[0].decode().rstrip() + "]}")
    lines[0] = lines[0].replace(head["created"].encode(), b"2026-01-01T00:00:00Z")
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    path.write_bytes(b"".join(lines) + f'], "sha256": "{digest}"}}\n'.encode())
    return path


def test_a_file_that_is_there_is_never_overwritten_by_a_plan(world: World, plan: Path) -> None:
    plan.write_text("mine")

    assert check(world, "--plan-out", plan).exit_code == 2
    assert plan.read_text() == "mine"
    assert world.own("run") == []


def test_a_plan_that_writes_to_pond_needs_the_switch_and_stays_within_the_limit(
    world: World, plan: Path
) -> None:
    two_active(world)
    check(world, "--plan-out", plan)

    off = check(world, "--apply", "--plan", plan, PONDCTL_POND__WRITE_ENABLED="false")
    assert off.exit_code == 4
    few = check(world, "--apply", "--plan", plan, PONDCTL_LIMITS__MAX_REPLACEMENTS_PER_RUN="0")
    assert few.exit_code == 2
    assert writes(world) == 0


def test_local_finds_what_the_database_says_against_itself(world: World) -> None:
    bulk = world.given(
        {"ICCID": A, "MSISDN": NUMBER, **FAILED},
        {"ICCID": B, "Status": "PROCESSED"},
        {"ICCID": C, "Status": "PROCESSED", "IsProcessed": True, "HasErrors": None},
        {"ICCID": ICCIDS[4], "Status": "WHAT", "MSISDN": ""},
        {"ICCID": ICCIDS[5]},
        {"ICCID": f"{ICCIDS[5]}F"},
        {"ICCID": ICCIDS[6], "ChangeRequest": "{nonsense"},
        Status="PROCESSING",
    )
    world.given({"ICCID": ICCIDS[7], **DONE, "MSISDN": NUMBER, "BulkChangeId": 4711}, Status="PROCESSED")
    given_plan(world, C, "P1", 1001)
    given_plan(world, C, "P1", 1001)
    given_plan(world, C, "P2", 1001)

    result = world.run("reconcile", "--local", "-o", "json")

    assert result.exit_code == 5
    found = {(d["kind"], d["iccid"]) for d in result.json["drift"]}
    assert {
        ("impossible_row", A),
        ("impossible_row", B),
        ("impossible_row", C),
        ("impossible_row", ICCIDS[4]),
        ("unexplained_row", ICCIDS[4]),
        ("unexplained_row", ICCIDS[6]),
        ("duplicate_row", ICCIDS[5]),
        ("broken_reference", ICCIDS[7]),
        ("duplicate_package_row", C),
        ("two_active_rows", C),
        ("nothing_queued", None),
    } == found
    assert world.calls() == 0
    assert all(d["mend"] is None for d in result.json["drift"] if d["kind"] != "nothing_queued")
    assert world.run("reconcile", "--local", "--apply", "--max-changes", 9).exit_code == 5
    assert len(world.messages(bulk)) == 1


def test_a_device_that_a_host_doubled_is_found(world: World) -> None:
    """Defect 40 of the existing system: an error row and a normal row for one ICCID."""
    world.given({"ICCID": A, **FAILED}, {"ICCID": A}, Status="PROCESSING")

    assert "duplicate_row" in kinds(world.run("reconcile", "--local", "-o", "json"))


def test_no_manual_sql_is_needed_to_see_and_mend_what_went_apart(world: World) -> None:
    """Defect 41: there was no dry run and no reconcile, so SQL by hand was the tool."""
    bulk = world.given({"ICCID": A, **DONE}, Status="PROCESSED")
    world.thingspace.add(A, msisdn=NUMBER)

    assert apply(world, "--dry-run").json["counts"] == {"msisdn_missing": 1}
    assert apply(world).exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"] == NUMBER
