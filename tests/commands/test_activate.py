"""`activate` from the command line to the rows, with a simulated POND at the HTTP edge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.pond_life import (
    OTHER,
    PROVIDER,
    SETTLE,
    WANTED,
    A,
    B,
    C,
    assert_in_order,
    claims,
    devices,
    given_plan,
    in_database,
    locked_while,
    plans,
    sims,
    standing,
    steps,
    writes,
)
from tests.world import ICCIDS, Result, World


def activate(world: World, *words: object, **settings: str) -> Result:
    return world.run("activate", *words, "--package-type", WANTED, "-o", "json", **SETTLE | settings)


def request(**more: object) -> str:
    return json.dumps({"UpdateStatus": "Active", "Request": {"PackageTypeId": WANTED}, **more})


def test_a_sim_without_packages_has_one_active_package_afterwards(world: World) -> None:
    sims(world, A)

    result = activate(world, A)

    assert result.exit_code == 0, result.stderr
    assert result.json["counts"]["done"] == 1
    assert_in_order(world, A)
    assert writes(world) == 2


def test_the_second_time_nothing_is_sent(world: World) -> None:
    sims(world, A, B)
    activate(world, A, B)
    sent = writes(world)

    result = activate(world, A, B)

    assert result.exit_code == 0
    assert result.json["counts"]["unchanged"] == 2
    assert writes(world) == sent
    assert_in_order(world, A, B)


def test_other_active_packages_are_ended_and_named(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"), (1003, "ACTIVE")))
    old = world.sandbox.pond.packages(A)

    result = activate(world, A)

    assert_in_order(world, A)
    assert in_database(world, A, "TERMINATED") == [OTHER, 1003]
    for package in old:
        assert package.package_id in devices(result)[A]["detail"]


def test_keep_existing_leaves_them(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))

    result = activate(world, A, "--keep-existing")

    assert result.exit_code == 0
    assert standing(world, A) == [WANTED, OTHER]
    assert in_database(world, A) == [WANTED, OTHER]


def test_a_package_that_waits_is_used_instead_of_a_new_one(world: World) -> None:
    sims(world, A, packages=((WANTED, "NOT_ACTIVE"),))

    assert activate(world, A).exit_code == 0
    assert world.calls("pond.add_package") == 0
    assert_in_order(world, A)


def test_of_two_active_packages_of_the_type_one_stays(world: World) -> None:
    sims(world, A, packages=((WANTED, "ACTIVE"), (WANTED, "ACTIVE")))

    result = activate(world, A)

    assert result.exit_code == 0
    assert_in_order(world, A)
    assert "ended package" in devices(result)[A]["detail"]


def test_the_services_stay_as_they_are(world: World) -> None:
    world.sandbox.pond.add_sim(A, services="DISABLED")

    activate(world, A)

    assert world.sandbox.pond.sim(A).data == "DISABLED"
    assert world.calls("set_sim_status") == 0


def test_a_locked_device_that_would_lose_a_package_is_left_alone(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    sims(world, B)
    world.run("device", "lock", A, B, "--reason", "lifts")

    result = activate(world, A, B)

    assert result.exit_code == 3
    assert devices(result)[A]["category"] == "guarded"
    assert "lifts" in devices(result)[A]["detail"]
    assert standing(world, A) == [OTHER]
    assert devices(result)[B]["outcome"] == "done"
    assert activate(world, A, "--keep-existing").exit_code == 0


def test_a_lock_in_the_middle_leaves_both_packages_named(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    bulk = world.given({"ICCID": A, "ChangeRequest": request()}, provider=PROVIDER)

    found, code, _ = locked_while(world, "pond.package_active", "activate", "--bulk-change", bulk)

    assert code == 3
    assert (found[A]["outcome"], found[A]["category"]) == ("failed", "guarded")
    assert standing(world, A) == [WANTED, OTHER]
    [row] = world.rows(bulk)
    assert (bool(row["IsProcessed"]), bool(row["HasErrors"])) == (True, True)
    assert "are ACTIVE together" in row["StatusDetails"]
    assert {step["state"] for step in steps(world, "terminate_package")} == {"not_sent"}


def test_no_more_packages_are_ended_than_a_run_may(world: World) -> None:
    sims(world, A, B, C, packages=((OTHER, "ACTIVE"),))

    result = activate(world, A, B, C, PONDCTL_LIMITS__MAX_REPLACEMENTS_PER_RUN="2")

    assert result.exit_code == 3
    counts = result.json["counts"]
    assert (counts["done"], counts["skipped"]) == (2, 1)
    assert world.calls("pond.package_terminated") == 2
    assert world.calls("pond.add_package") == 2


def test_a_wrong_package_type_is_refused_in_the_carriers_own_words(world: World) -> None:
    sims(world, A)

    result = world.run("activate", A, "--package-type", 9999, "-o", "json")

    assert result.exit_code == 3
    device = devices(result)[A]
    assert (device["outcome"], device["category"]) == ("failed", "carrier_rejected")
    assert "9999 does not exist" in device["detail"]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_sim_the_carrier_does_not_know_is_not_found_whatever_it_says(world: World, status: int) -> None:
    world.sandbox.pond.unknown_sim_status = status

    result = activate(world, A)

    assert result.exit_code == 3
    assert (devices(result)[A]["outcome"], devices(result)[A]["category"]) == ("failed", "not_found")


def test_a_terminated_sim_is_named_as_such(world: World) -> None:
    world.sandbox.pond.add_sim(A, state="Terminated")

    result = activate(world, A)

    assert result.exit_code == 3
    assert devices(result)[A]["category"] == "invalid_state"
    assert standing(world, A) == []


def test_targets_come_from_a_file_or_from_standard_input(world: World, tmp_path: Path) -> None:
    sims(world, A, B)
    path = tmp_path / "devices.csv"
    path.write_text(f'\ufeffName;ICCID\r\nfirst;"{A}"\r\nagain;{A}\r\n', encoding="utf-8")

    assert activate(world, "--from", path).exit_code == 0
    piped = world.run("activate", "--from", "-", "--package-type", WANTED, "-o", "json", stdin=f"{B}\n")

    assert piped.exit_code == 0, piped.stderr
    assert_in_order(world, A, B)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--from", "/nonexistent/file"),
        ("89123",),
        (A, "--bulk-change", "1"),
        (A, "--from", "-"),
    ],
)
def test_what_names_no_device_is_usage_and_starts_nothing(world: World, words: tuple[str, ...]) -> None:
    assert activate(world, *words).exit_code == 2
    assert world.own("run") == []
    assert world.calls() == 0


def test_three_bad_lines_are_named_and_nothing_is_started(world: World, tmp_path: Path) -> None:
    path = tmp_path / "devices.txt"
    path.write_text("\n".join([A, "8.9148E+19", B, "nonsense", "", "123"]), encoding="utf-8")

    result = activate(world, "--from", path)

    assert result.exit_code == 2
    for line in ("line 2", "line 4", "line 6"):
        assert line in result.json["error"]["message"]
    assert world.own("run") == []


def test_skip_invalid_takes_the_rest(world: World, tmp_path: Path) -> None:
    sims(world, A)
    path = tmp_path / "devices.txt"
    path.write_text(f"nonsense\n{A}\n", encoding="utf-8")

    result = activate(world, "--from", path, "--skip-invalid")

    assert result.exit_code == 0
    assert "line 1" in result.stderr
    assert_in_order(world, A)


def test_a_package_type_is_needed(world: World) -> None:
    result = world.run("activate", A, "-o", "json")

    assert result.exit_code == 2
    assert "--package-type" in result.json["error"]["hint"]


def test_writes_that_are_switched_off_are_refused_before_any_call(world: World) -> None:
    sims(world, A)

    result = activate(world, A, PONDCTL_POND__WRITE_ENABLED="false")

    assert result.exit_code == 4
    assert world.calls() == 0
    assert world.own("run") == []


def test_a_wrong_key_ends_the_run_and_is_not_repeated(world: World) -> None:
    sims(world, A, B)

    result = activate(world, A, B, PONDCTL_POND__API_KEY="wrong-key-value")

    assert result.exit_code == 4
    assert "wrong-key-value" not in result.stdout + result.stderr
    assert [run["state"] for run in world.own("run")] == ["failed"]
    assert [claim["state"] for claim in claims(world)] == ["released"] * len(claims(world))


def test_a_dry_run_shows_what_would_be_done_and_writes_nothing(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    sims(world, B, packages=((WANTED, "ACTIVE"),))
    sims(world, C, packages=((WANTED, "NOT_ACTIVE"),))
    before = world.everything()

    result = activate(world, A, B, C, ICCIDS[3], "--dry-run")

    assert result.exit_code == 0
    shown = {iccid: (d["outcome"], d["detail"]) for iccid, d in devices(result).items()}
    assert shown[A][0] == "done"
    assert "add a package of type 1001" in shown[A][1]
    assert "end package" in shown[A][1]
    assert shown[B][0] == "unchanged"
    assert "activate package" in shown[C][1]
    assert shown[ICCIDS[3]][0] == "failed"
    assert writes(world) == 0
    assert world.everything() == before


def test_a_dry_run_needs_no_right_to_write(world: World) -> None:
    sims(world, A)

    assert activate(world, A, "--dry-run", PONDCTL_POND__WRITE_ENABLED="false").exit_code == 0


def test_every_write_has_an_intent_and_its_own_answer(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    [old] = world.sandbox.pond.packages(A)

    activate(world, A)

    add, start, end = steps(world)
    new = add["answer"]["package_id"]
    assert add["intent"] == {"package_type_id": WANTED, "seen": [old.package_id]}
    assert (start["kind"], start["intent"]["package_id"]) == ("activate_package", new)
    assert (end["kind"], end["intent"]["package_id"]) == ("terminate_package", old.package_id)
    assert {step["state"] for step in (add, start, end)} == {"done"}
    assert all(step["opened_at"] <= step["closed_at"] for step in (add, start, end))


def test_the_run_keeps_who_why_and_what(world: World) -> None:
    sims(world, A)

    activate(world, A, "--reason", "order 4711")

    [run] = world.own("run")
    assert (run["command"], run["reason"], run["state"]) == ("activate", "order 4711", "done")
    assert json.loads(run["counts"]) == {"done": 1}
    assert json.loads(run["arguments"])["package_type_id"] == WANTED
    assert "api" not in run["arguments"]


def test_the_service_provider_is_the_given_one_else_that_of_the_newest_row(world: World) -> None:
    sims(world, A, B)

    activate(world, A, "--service-provider", 7)
    activate(world, A, B, PONDCTL_POND__SERVICE_PROVIDER_IDS="[4]")

    assert {(row["ICCID"], row["ServiceProviderId"]) for row in plans(world)} == {(A, 7), (B, 4)}


def test_a_row_that_the_host_lost_or_has_wrong_is_set_right(world: World) -> None:
    sims(world, A, packages=((WANTED, "ACTIVE"),))
    given_plan(world, A, "gone", OTHER)

    result = activate(world, A)

    assert result.json["counts"]["unchanged"] == 1
    assert in_database(world, A) == [WANTED]
    assert in_database(world, A, "TERMINATED") == [OTHER]
    assert {row["ServiceProviderId"] for row in plans(world)} == {4}


def test_a_device_that_another_live_run_works_on_is_left_to_it(world: World) -> None:
    sims(world, A, B)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.LATENCY, 1.5, contains=A))
    first = world.spawn("activate", A, "--package-type", WANTED, "-q")
    while not world.calls("pond.add_package"):
        pass

    second = activate(world, A, B)

    assert first.wait(timeout=30) == 0, first.communicate()[1]
    first.communicate()
    assert second.exit_code == 3
    assert devices(second)[A]["category"] == "guarded"
    [run] = [row["run_id"] for row in world.own("run") if row["counts"] == '{"done": 1}'][:1]
    assert run in devices(second)[A]["detail"]
    assert_in_order(world, A, B)


def test_above_a_hundred_devices_ten_go_first_and_a_bad_start_ends_the_run(world: World) -> None:
    many = [f"8914800001{number:09d}1" for number in range(120)]

    result = activate(world, *many, "--workers", "16")

    assert result.exit_code == 7
    assert result.json["counts"]["failed"] == 10
    assert "10 of 10 devices" in result.json["error"]["message"]
    assert "pondctl runs resume" in result.json["error"]["hint"]
    assert world.calls("pond.list_packages") == 10


def test_all_of_more_than_a_hundred_are_done_when_the_first_ten_are(world: World) -> None:
    many = [f"8914800001{number:09d}1" for number in range(120)]
    sims(world, *many)

    result = activate(world, *many, "--workers", "16")

    assert result.exit_code == 0, result.stderr
    assert_in_order(world, *many)


def test_a_bulk_change_is_settled_row_by_row(world: World) -> None:
    sims(world, A, B)
    bulk = world.given(
        {"ICCID": A, "ChangeRequest": request()},
        {"ICCID": B, "ChangeRequest": request()},
        {"ICCID": "x", "ChangeRequest": request()},
        provider=PROVIDER,
    )

    result = world.run("activate", "--bulk-change", bulk, "-o", "json")

    assert result.exit_code == 3
    assert result.json["bulk_change_id"] == bulk
    rows = world.rows(bulk)
    assert [row["Status"] for row in rows] == ["PROCESSED", "PROCESSED", "API_FAILED"]
    assert [row["HasErrors"] for row in rows] == [False, False, True]
    assert rows[2]["StatusDetails"].startswith("invalid_iccid")
    assert world.header(bulk)["Status"] == "PROCESSED"
    assert_in_order(world, A, B)
    assert {row["ServiceProviderId"] for row in plans(world)} == {PROVIDER}


def test_a_second_run_over_a_bulk_change_has_nothing_to_do(world: World) -> None:
    sims(world, A)
    bulk = world.given({"ICCID": A, "ChangeRequest": request()}, provider=PROVIDER)
    world.run("activate", "--bulk-change", bulk)
    calls = world.calls()

    result = world.run("activate", "--bulk-change", bulk, "-o", "json")

    assert (result.exit_code, world.calls()) == (0, calls)


def test_rows_that_ask_for_something_else_stay_open_and_say_why(world: World) -> None:
    sims(world, A, B, C)
    bulk = world.given(
        {"ICCID": A, "ChangeRequest": request()},
        {"ICCID": B, "ChangeRequest": request(UpdateStatus="Terminated")},
        {"ICCID": C, "ChangeRequest": request(RevService={"CreateRevService": True})},
        provider=PROVIDER,
    )

    result = world.run("activate", "--bulk-change", bulk, "-o", "json")

    assert result.exit_code == 3
    assert devices(result)[B]["category"] == "guarded"
    rows = world.rows(bulk)
    assert [row["IsProcessed"] for row in rows] == [True, False, False]
    assert "terminated" in rows[1]["StatusDetails"]
    assert "--without-billing" in rows[2]["StatusDetails"]
    assert world.header(bulk)["Status"] == "PROCESSING"
    assert world.run("activate", "--bulk-change", bulk, "--without-billing").exit_code == 3
    assert world.rows(bulk)[2]["IsProcessed"]


def test_a_bulk_change_that_names_no_package_type_is_refused_as_a_whole(world: World) -> None:
    sims(world, A)
    bulk = world.given({"ICCID": A, "ChangeRequest": '{"UpdateStatus": "Active"}'}, provider=PROVIDER)

    result = world.run("activate", "--bulk-change", bulk, "-o", "json")

    assert result.exit_code == 2
    assert world.own("run") == []
    assert world.run("activate", "--bulk-change", bulk, "--package-type", WANTED).exit_code == 0


def test_a_second_run_ends_as_the_first_where_only_guarded_rows_are_left(world: World) -> None:
    sims(world, A)
    billing = json.dumps({**json.loads(request()), "RevService": {"CreateRevService": True}})
    bulk = world.given(
        {"ICCID": A, "ChangeRequest": billing}, {"ICCID": B, "ChangeRequest": "{}"}, provider=PROVIDER
    )

    assert [world.run("activate", "--bulk-change", bulk).exit_code for _ in range(2)] == [3, 3]
    assert world.rows(bulk)[0]["StatusDetails"].startswith("guarded")

    world.run("activate", "--bulk-change", bulk, "--without-billing")
    assert (world.rows(bulk)[0]["Status"], world.rows(bulk)[0]["StatusDetails"]) == ("PROCESSED", None)


def test_a_bulk_change_of_the_other_carrier_is_refused(world: World) -> None:
    bulk = world.given({"ICCID": A, "ChangeRequest": request()}, provider=2)

    result = world.run(
        "activate", "--bulk-change", bulk, "-o", "json", PONDCTL_POND__SERVICE_PROVIDER_IDS="[4]"
    )

    assert result.exit_code == 2
    assert result.json["error"]["code"] == "wrong_carrier"
    assert world.calls() == 0


def test_rows_that_name_one_device_twice_share_the_work_and_get_an_outcome_each(world: World) -> None:
    sims(world, A)
    row = {"ICCID": A, "ChangeRequest": request()}
    other = {"ICCID": f"{A[:5]} {A[5:]}", "ChangeRequest": request(Request={"PackageTypeId": OTHER})}
    bulk = world.given(row, {"ICCID": f" {A} ", "ChangeRequest": request()}, other, provider=PROVIDER)

    result = world.run("activate", "--bulk-change", bulk, "-o", "json")

    assert result.json["counts"]["done"] == 2
    assert result.json["counts"]["skipped"] == 1
    assert world.calls("pond.add_package") == 1
    assert [r["IsProcessed"] for r in world.rows(bulk)] == [True, True, False]
    assert_in_order(world, A)


def test_24_25_each_write_is_logged_with_its_own_answer_in_the_carriers_words(world: World) -> None:
    sims(world, A)
    bulk = world.given({"ICCID": A, "ChangeRequest": request()}, provider=PROVIDER)
    world.sandbox.fault(Fault("pond.package_active", FaultKind.REFUSE, "no credit left"))

    result = world.run("activate", "--bulk-change", bulk, "-o", "json")

    assert result.exit_code == 3
    log = {entry["LogEntryDescription"]: entry for entry in world.log(bulk)}
    added = log["pondctl activate: add_package: done"]
    refused = log["pondctl activate: activate_package: refused"]
    assert added["ResponseStatus"] == "PROCESSED"
    assert "package_id" in added["ResponseText"]
    assert "no credit left" in refused["ErrorText"]
    assert "no credit left" in world.rows(bulk)[0]["StatusDetails"]


def test_a_bulk_change_that_another_run_holds_is_busy(world: World) -> None:
    sims(world, A)
    bulk = world.given({"ICCID": A, "ChangeRequest": request()}, provider=PROVIDER)
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.LATENCY, 1.5))
    first = world.spawn("activate", "--bulk-change", bulk, "-q")
    while not world.calls("pond.list_packages"):
        pass

    second = world.run("activate", "--bulk-change", bulk)

    first.communicate(timeout=30)
    assert (second.exit_code, first.returncode) == (6, 0)


def test_deferred_devices_of_a_bulk_change_wait_for_a_check_where_a_worker_takes_it(world: World) -> None:
    sims(world, A)
    bulk = world.given({"ICCID": A, "ChangeRequest": request()}, provider=PROVIDER)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.THROTTLE, 0.01))

    alone = world.run("activate", "--bulk-change", bulk, "-o", "json")
    assert alone.exit_code == 8
    assert world.messages(bulk) == []
    assert "runs resume" in json.dumps(alone.json["hints"])

    queued = world.run("activate", "--bulk-change", bulk, "-o", "json", PONDCTL_QUEUE__ACCEPT_WRITES="true")
    assert queued.exit_code == 8
    assert len(world.messages(bulk)) == 1
    assert queued.json["retry"]["retry_number"] == 1
    assert not world.rows(bulk)[0]["IsProcessed"]


@pytest.mark.parametrize("role", ["viewer"])
def test_a_viewer_may_look_but_not_touch(world: World, role: str) -> None:
    sims(world, A)

    assert activate(world, A, PONDCTL_ACCESS__ROLE=role).exit_code == 4
    assert activate(world, A, "--dry-run", PONDCTL_ACCESS__ROLE=role).exit_code == 0


def test_service_providers_that_are_not_ours_are_left_alone(world: World) -> None:
    sims(world, A)
    bulk = world.given({"ICCID": A, "ChangeRequest": request()}, provider=PROVIDER)
    allowed = {"PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "[9]"}

    assert world.run("activate", "--bulk-change", bulk, **allowed).exit_code == 4
    assert activate(world, A, "--service-provider", PROVIDER, **allowed).exit_code == 4
    assert world.calls() == 0
