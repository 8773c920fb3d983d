"""`sync-bulk` from the command line to the rows, with a simulated ThingSpace at the HTTP edge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.world import ICCIDS, World

A, B, C = ICCIDS[:3]


def counts(document: dict[str, Any]) -> dict[str, int]:
    return {outcome: count for outcome, count in document["counts"].items() if count}


def test_an_active_device_gets_its_number_and_the_bulk_change_is_processed(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    result = world.run("sync-bulk", bulk, "-o", "json")

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["status"] == "success"
    assert counts(document) == {"done": 1}
    [device] = document["devices"]
    assert (device["iccid"], device["outcome"], device["msisdn"]) == (A, "done", "12015550123")
    [row] = world.rows(bulk)
    assert (row["MSISDN"], row["Status"], row["IsProcessed"], row["HasErrors"], row["ProcessedBy"]) == (
        "12015550123",
        "PROCESSED",
        True,
        False,
        "pondctl",
    )
    assert row["LastModified"] is not None
    assert row["ProcessedDate"] is not None
    assert world.header(bulk)["Status"] == "PROCESSED"


def test_a_pending_device_waits_and_one_check_is_queued(world: World) -> None:
    bulk = world.given(A, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")

    result = world.run("sync-bulk", bulk, "-o", "json")

    assert result.exit_code == 8
    document = json.loads(result.stdout)
    assert document["status"] == "waiting"
    assert document["retry"] == {"retry_number": 1, "delay_seconds": 900}
    assert world.header(bulk)["Status"] == "PROCESSING"
    waiting = world.rows(bulk)[1]
    assert (waiting["IsProcessed"], waiting["MSISDN"]) == (False, None)
    assert "pending activation" in waiting["StatusDetails"]
    [message] = world.messages(bulk)
    assert message["attributes"]["IsRetryNewActivateThingSpaceDevice"] == "True"
    assert message["attributes"]["BulkChangeId"] == str(bulk)


def test_a_device_that_became_active_does_not_keep_the_words_it_waited_with(world: World) -> None:
    settled = {"IsProcessed": True, "StatusDetails": "the host's own words"}
    bulk = world.given(A, {"ICCID": B, **settled})
    world.thingspace.add(A, state="pending activation")
    world.thingspace.add(B, state="active", msisdn="12015550124")
    world.run("sync-bulk", bulk)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    assert world.run("sync-bulk", bulk).exit_code == 0
    rows = world.rows(bulk)
    assert [row["MSISDN"] for row in rows] == ["12015550123", "12015550124"]
    assert [row["StatusDetails"] for row in rows] == [None, "the host's own words"]


def test_a_second_run_by_hand_queues_no_second_check(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")

    world.run("sync-bulk", bulk)
    world.run("sync-bulk", bulk)

    assert len(world.messages(bulk)) == 1


def test_no_enqueue_queues_nothing(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")

    assert world.run("sync-bulk", bulk, "--no-enqueue").exit_code == 8
    assert world.messages(bulk) == []


def test_a_device_the_carrier_does_not_know_fails_with_the_reason(world: World) -> None:
    bulk = world.given(A)

    result = world.run("sync-bulk", bulk)

    assert result.exit_code == 3
    [row] = world.rows(bulk)
    assert (row["Status"], row["HasErrors"], row["IsProcessed"]) == ("API_FAILED", True, True)
    assert row["StatusDetails"].startswith("not_found: ")
    assert world.header(bulk)["Status"] == "PROCESSED"


@pytest.mark.parametrize(
    "iccid",
    [None, "", "   ", "89123", "8" * 23, "\uff18\uff19" + "1" * 17, "'; DROP TABLE M2M_DeviceChange; --"],
)
def test_a_row_that_names_no_device_is_skipped_before_any_call(world: World, iccid: str | None) -> None:
    bulk = world.given(iccid)

    result = world.run("sync-bulk", bulk, "-o", "json")

    assert result.exit_code == 3
    [device] = json.loads(result.stdout)["devices"]
    assert (device["outcome"], device["category"]) == ("skipped", "invalid_iccid")
    [row] = world.rows(bulk)
    assert (row["Status"], row["IsProcessed"]) == ("API_FAILED", True)
    assert row["StatusDetails"].startswith("invalid_iccid: ")
    assert world.calls() == 0


def test_an_iccid_is_sent_without_blanks_dashes_and_padding(world: World) -> None:
    bulk = world.given(f" {A[:4]}-{A[4:]}F ")
    world.thingspace.add(A, state="active", msisdn="12015550123")

    assert world.run("sync-bulk", bulk).exit_code == 0


def test_two_rows_of_one_device_share_one_call_and_get_an_outcome_each(world: World) -> None:
    bulk = world.given(A, f"{A[:4]} {A[4:]}", A)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    result = world.run("sync-bulk", bulk, "-o", "json", "--strategy", "lookup")

    devices = json.loads(result.stdout)["devices"]
    assert [device["outcome"] for device in devices] == ["done"] * 3
    assert len({device["device_change_id"] for device in devices}) == 3
    assert world.calls("thingspace.lookup") == 1


def test_active_without_a_number_is_pending_and_never_an_empty_number(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn=None)

    assert world.run("sync-bulk", bulk).exit_code == 8
    assert world.rows(bulk)[0]["MSISDN"] is None


def test_defect_7_an_empty_number_is_none_and_the_number_is_written_over_it(world: World) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": ""}, {"ICCID": B, "MSISDN": ""})
    world.thingspace.add(A, state="active", msisdn="12015550123")

    assert counts(world.run("sync-bulk", bulk, "-o", "json").json) == {"done": 1, "failed": 1}
    assert [(row["MSISDN"], row["Status"], row["IsProcessed"]) for row in world.rows(bulk)] == [
        ("12015550123", "PROCESSED", True),
        ("", "API_FAILED", True),
    ]


def test_a_row_with_a_number_is_settled_unchanged_without_a_call(world: World) -> None:
    bulk = world.given({"ICCID": A, "MSISDN": "12015550199"})

    result = world.run("sync-bulk", bulk, "-o", "json")

    assert result.exit_code == 0
    assert counts(result.json) == {"unchanged": 1}
    [row] = world.rows(bulk)
    assert (row["MSISDN"], row["IsProcessed"], row["Status"]) == ("12015550199", True, "PROCESSED")
    assert world.calls() == 0


def test_a_row_that_failed_before_is_not_looked_at_again(world: World) -> None:
    bulk = world.given({"ICCID": A, "IsProcessed": True, "HasErrors": True, "Status": "ERROR"})

    result = world.run("sync-bulk", bulk)

    assert result.exit_code == 0
    assert world.calls() == 0


def test_a_row_the_host_settled_without_error_gains_its_number(world: World) -> None:
    bulk = world.given({"ICCID": A, "IsProcessed": True, "HasErrors": False, "Status": "PROCESSED"})
    world.thingspace.add(A, state="active", msisdn="12015550123")

    assert world.run("sync-bulk", bulk).exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"] == "12015550123"


def test_a_row_the_host_settled_without_error_never_turns_to_failed(world: World) -> None:
    bulk = world.given({"ICCID": A, "IsProcessed": True, "HasErrors": False, "Status": "PROCESSED"})

    result = world.run("sync-bulk", bulk)

    assert result.exit_code == 3
    [row] = world.rows(bulk)
    assert (row["Status"], row["HasErrors"], row["IsProcessed"]) == ("PROCESSED", False, True)


@pytest.mark.parametrize("target", ["suspend", "Suspend", "deactive"])
def test_another_target_is_done_without_a_number(world: World, target: str) -> None:
    bulk = world.given({"ICCID": A, "ChangeRequest": json.dumps({"UpdateStatus": target})})
    world.thingspace.add(A, state=target.lower(), msisdn=None)

    assert world.run("sync-bulk", bulk).exit_code == 0
    [row] = world.rows(bulk)
    assert (row["IsProcessed"], row["Status"], row["MSISDN"]) == (True, "PROCESSED", None)
    calls = world.calls()
    assert world.run("sync-bulk", bulk).exit_code == 0
    assert world.calls() == calls


def test_a_deleted_row_is_left_alone(world: World) -> None:
    bulk = world.given({"ICCID": A, "IsDeleted": True}, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="active", msisdn="12015550124")

    world.run("sync-bulk", bulk)

    assert [row["MSISDN"] for row in world.rows(bulk)] == [None, "12015550124"]


def test_when_most_devices_are_unknown_nothing_is_settled(world: World) -> None:
    known, unknown = ICCIDS[:5], ICCIDS[5:25]
    bulk = world.given(*known, *unknown)
    for number, iccid in enumerate(known):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")

    result = world.run("sync-bulk", bulk, "-o", "json")

    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert counts(document) == {"done": 5, "skipped": 20}
    assert {d["category"] for d in document["devices"] if d["outcome"] == "skipped"} == {"guarded"}
    assert "account_name" in json.dumps(document) + result.stderr
    assert sum(row["IsProcessed"] for row in world.rows(bulk)) == 5


def test_accept_not_found_settles_them(world: World) -> None:
    bulk = world.given(*ICCIDS[:25])

    assert world.run("sync-bulk", bulk, "--accept-not-found").exit_code == 3
    assert all(row["Status"] == "API_FAILED" for row in world.rows(bulk))


def test_a_dry_run_writes_nothing(world: World) -> None:
    bulk = world.given(A, B, "nonsense")
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")
    before = world.everything()

    result = world.run("sync-bulk", bulk, "--dry-run", "-o", "json")

    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["dry_run"] is True
    assert counts(document) == {"done": 1, "pending": 1, "skipped": 1}
    assert world.everything() == before


def test_each_outcome_change_leaves_one_log_row(world: World) -> None:
    bulk = world.given(A, B, C)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")

    for _ in range(4):
        world.run("sync-bulk", bulk, "--strategy", "lookup")

    per_row = [entry["M2MDeviceChangeId"] for entry in world.log(bulk)]
    assert sorted(per_row) == [row["Id"] for row in world.rows(bulk)]


@pytest.mark.parametrize("word", ["abc", "-5", "0", "1.5", "99999999999999999999"])
def test_an_id_that_is_no_number_is_usage(world: World, word: str) -> None:
    result = world.run("sync-bulk", "--", word)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert world.calls() == 0


def test_an_id_that_does_not_exist_says_so_and_where_to_look(world: World) -> None:
    result = world.run("sync-bulk", "4711", "-o", "json")

    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "not_found"
    assert "4711" in error["message"]
    assert "pondctl bulk list" in error["hint"]


def test_a_bulk_change_of_the_other_carrier_is_refused(world: World) -> None:
    bulk = world.given(A, provider=4)

    result = world.run("sync-bulk", bulk, "-o", "json", PONDCTL_POND__SERVICE_PROVIDER_IDS="[4]")

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "wrong_carrier"
    assert world.calls() == 0


def test_wrong_credentials_are_tried_once_and_counted(world: World) -> None:
    bulk = world.given(A)

    result = world.run("sync-bulk", bulk, PONDCTL_THINGSPACE__PASSWORD="Tr0ub4dor")

    assert result.exit_code == 4
    assert world.calls("thingspace.login") == 1
    assert "refused once" in result.stderr
    assert "Tr0ub4dor" not in result.stdout + result.stderr


def test_after_two_refused_logins_pondctl_does_not_try_a_third(world: World) -> None:
    bulk = world.given(A)

    for _ in range(4):
        assert world.run("sync-bulk", bulk, PONDCTL_THINGSPACE__PASSWORD="wrong").exit_code == 4

    assert world.calls("thingspace.login") == 2


def test_quiet_prints_nothing_while_all_is_well(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")

    result = world.run("sync-bulk", bulk, "-q")

    assert (result.exit_code, result.stdout, result.stderr) == (8, "", "")


def test_what_is_touched_is_said_first(world: World) -> None:
    bulk = world.given(A)

    result = world.run("sync-bulk", bulk)

    first = result.stderr.splitlines()[0]
    assert "default" in first
    assert "0000998877-00001" in first


def test_one_login_for_any_number_of_devices_and_runs(world: World) -> None:
    bulk = world.given(*ICCIDS)
    for number, iccid in enumerate(ICCIDS):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    other = world.given(ICCIDS[0])

    world.run("sync-bulk", bulk, "--strategy", "lookup", "--workers", "16")
    world.run("sync-bulk", other)

    assert world.calls("thingspace.token") == 1
    assert world.calls("thingspace.login") == 1


def test_a_dry_run_shows_each_device_as_a_table(world: World) -> None:
    bulk = world.given(A, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")

    result = world.run("sync-bulk", bulk, "--dry-run")

    assert "dry run: nothing was written or sent" in result.stdout
    assert A in result.stdout
    assert B in result.stdout
