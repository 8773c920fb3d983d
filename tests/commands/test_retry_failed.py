"""`retry-failed` from the command line to the rows, with simulated carriers at the HTTP edge."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.world import ICCIDS, Row, World

A, B, C, D = ICCIDS[:4]
EXHAUSTED = "retries_exhausted: still 'pending activation' at the deadline"


def failed(iccid: str, details: str | None = EXHAUSTED, **more: Any) -> dict[str, Any]:
    """A row that ended with an error."""
    return {
        "ICCID": iccid,
        "Status": "API_FAILED",
        "StatusDetails": details,
        "IsProcessed": True,
        "HasErrors": True,
        "ProcessedBy": "pondctl",
        "ProcessedDate": "2026-11-20 09:00:00",
        "LastModified": "2026-11-20 09:00:00",
    } | more


def activate_all(world: World, *iccids: str) -> None:
    for number, iccid in enumerate(iccids):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")


def counts(document: dict[str, Any]) -> dict[str, int]:
    return {outcome: count for outcome, count in document["counts"].items() if count}


def taken_up(world: World, bulk: int) -> list[Row]:
    """The log entries of rows that were taken up again."""
    return [e for e in world.log(bulk) if e["LogEntryDescription"].startswith("pondctl retry-failed: ")]


def untouched(row: Row) -> bool:
    return (row["Status"], row["IsProcessed"], row["HasErrors"]) == ("API_FAILED", True, True)


def test_a_given_up_device_that_is_active_by_now_gets_its_number(world: World) -> None:
    bulk = world.given(failed(A), Status="ERROR")
    activate_all(world, A)

    result = world.run("retry-failed", bulk, "-o", "json")

    assert result.exit_code == 0, result.stderr
    document = result.json
    assert (document["command"], document["status"]) == ("retry-failed", "success")
    assert document["bulk_change_id"] == bulk
    assert counts(document) == {"done": 1}
    [row] = world.rows(bulk)
    assert (row["MSISDN"], row["Status"], row["IsProcessed"], row["HasErrors"]) == (
        "12015550000",
        "PROCESSED",
        True,
        False,
    )
    assert world.header(bulk)["Status"] == "PROCESSED"


def test_2_a_device_that_fails_again_is_never_told_as_processed(world: World) -> None:
    bulk = world.given(failed(A), failed(B), Status="ERROR")
    activate_all(world, A)

    result = world.run("retry-failed", bulk, "-o", "json")

    assert (result.exit_code, result.json["status"]) == (3, "partial")
    assert [row["Status"] for row in world.rows(bulk)] == ["PROCESSED", "API_FAILED"]
    assert [row["HasErrors"] for row in world.rows(bulk)] == [False, True]


def test_what_still_waits_is_taken_up_and_its_check_queued(world: World) -> None:
    bulk = world.given(failed(A), Status="ERROR")
    world.thingspace.add(A, state="pending activation")

    result = world.run("retry-failed", bulk, "-o", "json")

    assert result.exit_code == 8, result.stderr
    assert result.json["retry"] == {"retry_number": 1, "delay_seconds": 900}
    [row] = world.rows(bulk)
    assert (row["Status"], row["IsProcessed"], row["HasErrors"]) == ("PENDING", False, False)
    assert world.header(bulk)["Status"] == "PROCESSING"
    assert len(world.messages(bulk)) == 1


def test_each_row_taken_up_leaves_a_log_entry_with_reason_and_attempt(world: World) -> None:
    bulk = world.given(failed(A), Status="ERROR")

    for _ in range(3):
        result = world.run("retry-failed", bulk, "--category", "not_found", "--category", "retries_exhausted",
                           "--reason", "SIMs were shipped")  # fmt: skip
        assert result.exit_code == 3, result.stderr

    entries = taken_up(world, bulk)
    [row] = world.rows(bulk)
    assert [e["LogEntryDescription"].rpartition(": ")[2] for e in entries] == [
        "attempt 2",
        "attempt 3",
        "attempt 4",
    ]
    assert all(e["M2MDeviceChangeId"] == row["Id"] for e in entries)
    assert all("SIMs were shipped" in e["RequestText"] for e in entries)
    assert entries[0]["ResponseText"] == EXHAUSTED
    assert entries[1]["ResponseText"].startswith("not_found: ")


def test_no_id_and_no_filter_is_usage(world: World) -> None:
    bulk = world.given(failed(A))
    before = world.everything()

    for words in ([], ["--limit", "5"], ["--enqueue"], ["--yes"]):
        result = world.run("retry-failed", *words, "-o", "json")

        assert result.exit_code == 2
        assert result.json["error"]["code"] == "usage"
    assert world.everything() == before
    assert untouched(world.rows(bulk)[0])


PERMANENT = (
    "carrier_rejected",
    "invalid_state",
    "invalid_iccid",
    "not_found",
    "wrong_carrier",
    "cancelled",
    "guarded",
    "other",
)
TEMPORARY = ("rate_limited", "network", "carrier_unavailable", "database", "retries_exhausted")


@pytest.mark.parametrize("category", TEMPORARY)
def test_what_may_pass_by_itself_is_taken_by_default(world: World, category: str) -> None:
    bulk = world.given(failed(A, f"{category}: some words"))
    activate_all(world, A)

    assert world.run("retry-failed", bulk).exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"]


@pytest.mark.parametrize("category", PERMANENT)
def test_a_permanent_refusal_is_left_alone_and_said(world: World, category: str) -> None:
    bulk = world.given(failed(A, f"{category}: some words"))
    before = world.everything()

    result = world.run("retry-failed", bulk)

    assert result.exit_code == 0
    assert f"1 {category} (needs --category {category} and --reason)" in result.stderr
    assert world.everything() == before
    assert world.calls() == 0


@pytest.mark.parametrize("category", PERMANENT)
def test_a_permanent_category_needs_a_reason_and_then_is_taken(world: World, category: str) -> None:
    bulk = world.given(failed(A, f"{category}: some words"))
    activate_all(world, A)

    refused = world.run("retry-failed", bulk, "--category", category, "-o", "json")
    assert refused.exit_code == 2
    assert "--reason" in refused.json["error"]["hint"]
    assert untouched(world.rows(bulk)[0])

    blank = world.run("retry-failed", bulk, "--category", category, "--reason", "  ")
    assert blank.exit_code == 2

    taken = world.run("retry-failed", bulk, "--category", category, "--reason", "mended by hand")
    assert taken.exit_code == 0, taken.stderr
    assert world.rows(bulk)[0]["MSISDN"]


def test_refused_credentials_are_taken_when_named_and_not_by_default(world: World) -> None:
    bulk = world.given(failed(A, "authentication: 403"))
    activate_all(world, A)

    assert world.run("retry-failed", bulk).exit_code == 0
    assert untouched(world.rows(bulk)[0])
    assert world.run("retry-failed", bulk, "--category", "authentication").exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"]


def test_a_category_that_is_none_is_usage_and_the_known_ones_are_named(world: World) -> None:
    result = world.run("retry-failed", "--category", "netwrok", "-o", "json")

    assert result.exit_code == 2
    assert "network" in result.json["error"]["hint"]


def test_words_of_the_host_are_no_category_of_ours(world: World) -> None:
    bulk = world.given(failed(A, "Invalid ICCID", Status="ERROR", ProcessedBy="portal"))
    activate_all(world, A)

    assert "1 other" in world.run("retry-failed", bulk).stderr
    assert world.rows(bulk)[0]["MSISDN"] is None
    result = world.run("retry-failed", bulk, "--category", "other", "--reason", "inventory was late")
    assert result.exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"]


def test_a_row_that_says_nothing_is_read_from_the_run_that_failed_it(world: World) -> None:
    bulk = world.given(A)
    assert world.run("sync-bulk", bulk).exit_code == 3
    world.execute('UPDATE "M2M_DeviceChange" SET "StatusDetails" = NULL')
    activate_all(world, A)

    left = world.run("retry-failed", bulk)
    taken = world.run("retry-failed", bulk, "--category", "not_found", "--reason", "known by now")

    assert "1 not_found" in left.stderr
    assert taken.exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"]


def test_only_failed_rows_are_asked_about_and_only_they_are_told(world: World) -> None:
    bulk = world.given(failed(A), B, {"ICCID": C, "MSISDN": "12015550199"}, failed(D, "not_found: x"))
    activate_all(world, A, B, C, D)

    result = world.run("retry-failed", bulk, "-o", "json")

    assert [device["iccid"] for device in result.json["devices"]] == [A]
    assert world.calls("thingspace.lookup") == 1
    rows = world.rows(bulk)
    assert [row["IsProcessed"] for row in rows] == [True, False, False, True]
    assert world.header(bulk)["Status"] == "PROCESSING"


def test_41_one_device_is_tried_again_by_its_iccid_in_any_spelling(world: World) -> None:
    one = world.given(failed(f" {A[:4]}-{A[4:]}F "), failed(B))
    two = world.given(failed(A))
    activate_all(world, A, B)

    result = world.run("retry-failed", "--iccid", A, "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert [row["MSISDN"] for row in world.rows(one)] == ["12015550000", None]
    assert world.rows(two)[0]["MSISDN"]
    assert [part["id"] for part in result.json["bulk_changes"]] == [str(one), str(two)]


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_devices_are_read_from_a_file(world: World, way: str, tmp_path: Any) -> None:
    bulk = world.given(failed(A), failed(B), failed(C))
    activate_all(world, A, B, C)
    listing = tmp_path / "devices.csv"
    listing.write_text(f"iccid,note\n{A},x\n{C},y\n")

    if way == "file":
        result = world.run("retry-failed", bulk, "--from", listing)
    else:
        result = world.run("retry-failed", bulk, "--from", "-", stdin=listing.read_text())

    assert result.exit_code == 0, result.stderr
    assert [bool(row["MSISDN"]) for row in world.rows(bulk)] == [True, False, True]


def test_an_argument_that_is_no_iccid_is_usage(world: World) -> None:
    result = world.run("retry-failed", "--iccid", "12345")

    assert result.exit_code == 2
    assert "12345" in result.stderr


def test_since_takes_an_age_or_a_date(world: World) -> None:
    old = "2026-01-02 03:04:05.678000"
    bulk = world.given(failed(A), failed(B, LastModified=old, ProcessedDate=old))
    activate_all(world, A, B)

    for text in ("2026-11-20T09:00:01Z", "1s"):
        assert (
            world.run("retry-failed", bulk, "--since", text, "--dry-run", "-o", "json").json["devices"] == []
        )
    late = world.run("retry-failed", "--since", "2026-11-20T08:00:00+00:00", "-o", "json")
    assert [device["iccid"] for device in late.json["devices"]] == [A]
    early = world.run("retry-failed", "--since", "2026-01-02", "-o", "json")
    assert [device["iccid"] for device in early.json["devices"]] == [B]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2h ago", "3", "-2h", "2999-01-01", "2026-13-01", "9" * 30 + "d"]
)
def test_a_since_that_cannot_be_meant_is_usage(world: World, text: str) -> None:
    bulk = world.given(failed(A))

    assert world.run("retry-failed", bulk, f"--since={text}").exit_code == 2


def test_limit_takes_the_oldest_and_says_that_there_are_more(world: World) -> None:
    bulk = world.given(failed(A), failed(B), failed(C))
    activate_all(world, A, B, C)

    result = world.run("retry-failed", bulk, "--limit", "2")

    assert result.exit_code == 0
    assert "more have failed" in result.stderr
    assert [bool(row["MSISDN"]) for row in world.rows(bulk)] == [True, True, False]


def test_scope_and_reasons_are_said_first(world: World) -> None:
    bulk = world.given(failed(A), failed(B, "network: x"), failed(C, "network: y"), failed(D, "not_found: z"))

    result = world.run("retry-failed", bulk)

    lines = result.stderr.splitlines()
    assert lines[1] == (f"bulk change {bulk} (thingspace sync): 3 devices: 2 network, 1 retries_exhausted")
    assert lines[2].startswith("left alone: 1 not_found")


def test_more_than_ten_devices_need_a_yes(world: World) -> None:
    bulk = world.given(*map(failed, ICCIDS[:11]))
    activate_all(world, *ICCIDS[:11])
    before = world.everything()

    asked = world.run("retry-failed", bulk, "-o", "json")

    assert asked.exit_code == 2
    assert asked.json["error"]["code"] == "confirmation_missing"
    assert "--yes" in asked.json["error"]["hint"]
    assert world.everything() == before
    assert world.run("retry-failed", bulk, "--yes").exit_code == 0


def test_ten_devices_need_none(world: World) -> None:
    bulk = world.given(*map(failed, ICCIDS[:10]))
    activate_all(world, *ICCIDS[:10])

    assert world.run("retry-failed", bulk).exit_code == 0


def test_enqueue_queues_one_message_for_each_bulk_change_and_asks_nobody(world: World) -> None:
    one = world.given(*map(failed, ICCIDS[:5]), Status="ERROR")
    two = world.given(*map(failed, ICCIDS[5:8]), Status="PROCESSED")

    result = world.run("retry-failed", one, two, "--enqueue", "-o", "json")

    assert result.exit_code == 8, result.stderr
    assert counts(result.json) == {"deferred": 8}
    assert {device["category"] for device in result.json["devices"]} == {"retries_exhausted"}
    assert world.calls() == 0
    for bulk, devices in ((one, 5), (two, 3)):
        [message] = world.messages(bulk)
        assert message["attributes"]["BulkChangeId"] == str(bulk)
        assert message["attributes"]["IsRetryNewActivateThingSpaceDevice"] == "True"
        assert world.header(bulk)["Status"] == "PROCESSING"
        assert all((r["Status"], r["IsProcessed"], r["HasErrors"]) == ("PENDING", False, False)
                   for r in world.rows(bulk))  # fmt: skip
        assert len(taken_up(world, bulk)) == devices


def test_a_check_that_waits_already_is_the_one(world: World) -> None:
    bulk = world.given(failed(A), B)
    world.thingspace.add(B, state="pending activation")
    world.run("sync-bulk", bulk)

    assert world.run("retry-failed", bulk, "--enqueue").exit_code == 8
    assert len(world.messages(bulk)) == 1


@pytest.mark.parametrize("words", [(), ("--enqueue",)])
def test_41_a_dry_run_writes_nothing(world: World, words: tuple[str, ...]) -> None:
    bulk = world.given(*map(failed, ICCIDS[:12]), Status="ERROR")
    activate_all(world, *ICCIDS[:6])
    before = world.everything()

    result = world.run("retry-failed", bulk, "--dry-run", *words, "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert result.json["dry_run"] is True
    assert len(result.json["devices"]) == 12
    assert world.everything() == before


def test_a_dry_run_says_what_the_devices_would_come_to(world: World) -> None:
    bulk = world.given(failed(A), failed(B), failed(C))
    activate_all(world, A)
    world.thingspace.add(B, state="pending activation")

    result = world.run("retry-failed", bulk, "--dry-run", "-o", "json")

    assert counts(result.json) == {"done": 1, "pending": 1, "failed": 1}


def test_nothing_to_take_is_success_and_silent_with_q(world: World) -> None:
    bulk = world.given(B)
    before = world.everything()

    result = world.run("retry-failed", bulk, "-o", "json")
    assert (result.exit_code, result.json["devices"]) == (0, [])
    quiet = world.run("retry-failed", bulk, "-q")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    assert world.everything() == before


def test_an_id_that_does_not_exist_starts_nothing(world: World) -> None:
    bulk = world.given(failed(A))
    before = world.everything()

    result = world.run("retry-failed", bulk, "4711", "-o", "json")

    assert result.exit_code == 2
    assert result.json["error"]["code"] == "not_found"
    assert world.everything() == before


def test_a_bulk_change_of_nobody_we_know_starts_nothing(world: World) -> None:
    bulk = world.given(failed(A), provider=77)
    settings = {
        "PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS": "[2]",
        "PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]",
    }

    named = world.run("retry-failed", bulk, "-o", "json", **settings)
    filtered = world.run("retry-failed", "--category", "retries_exhausted", **settings)

    assert (named.exit_code, named.json["error"]["code"]) == (2, "wrong_carrier")
    assert filtered.exit_code == 0
    assert untouched(world.rows(bulk)[0])


def test_a_service_provider_that_is_not_allowed_is_refused(world: World) -> None:
    bulk = world.given(failed(A))
    settings = {"PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "[9]"}

    named = world.run("retry-failed", bulk, **settings)
    filtered = world.run("retry-failed", "--iccid", A, **settings)

    assert named.exit_code == 4
    assert filtered.exit_code == 0
    assert untouched(world.rows(bulk)[0])


def test_a_viewer_may_only_look(world: World) -> None:
    bulk = world.given(failed(A))

    assert world.run("retry-failed", bulk, PONDCTL_ACCESS__ROLE="viewer").exit_code == 4
    assert world.run("retry-failed", bulk, "--dry-run", PONDCTL_ACCESS__ROLE="viewer").exit_code == 0
    assert untouched(world.rows(bulk)[0])


def test_a_deleted_row_and_a_deleted_bulk_change_are_left_alone(world: World) -> None:
    bulk = world.given(failed(A, IsDeleted=True), failed(B))
    gone = world.given(failed(C), IsDeleted=True)
    activate_all(world, A, B, C)

    assert world.run("retry-failed", "--category", "retries_exhausted").exit_code == 0
    assert [bool(row["MSISDN"]) for row in world.rows(bulk)] == [False, True]
    assert untouched(world.rows(gone)[0])


def test_a_failed_row_that_has_a_number_is_settled_unchanged(world: World) -> None:
    bulk = world.given(failed(A, MSISDN="12015550199"))

    result = world.run("retry-failed", bulk, "-o", "json")

    assert (result.exit_code, counts(result.json)) == (0, {"unchanged": 1})
    [row] = world.rows(bulk)
    assert (row["Status"], row["HasErrors"], row["MSISDN"]) == ("PROCESSED", False, "12015550199")
    assert world.calls() == 0


def test_the_worst_of_several_bulk_changes_is_the_exit_code(world: World) -> None:
    good, waits, bad = world.given(failed(A)), world.given(failed(B)), world.given(failed(C))
    activate_all(world, A)
    world.thingspace.add(B, state="pending activation")

    result = world.run("retry-failed", good, waits, bad, "-o", "json")

    assert result.exit_code == 3
    assert (result.json["status"], result.json["bulk_change_id"]) == ("partial", None)
    assert counts(result.json) == {"done": 1, "pending": 1, "failed": 1}
    parts = {part["id"]: part for part in result.json["bulk_changes"]}
    assert parts[str(waits)]["retry"] == {"retry_number": 1, "delay_seconds": 900}
    assert parts[str(good)]["counts"] == {"done": 1}


def test_a_run_says_who_why_and_what(world: World) -> None:
    bulk, other = world.given(failed(A)), world.given(failed(B))
    activate_all(world, A, B)

    result = world.run("retry-failed", bulk, other, "--reason", "carrier was down", "-o", "json")

    runs = {run["run_id"]: run for run in world.own("run")}
    assert {run["command"] for run in runs.values()} == {"retry-failed"}
    assert {run["reason"] for run in runs.values()} == {"carrier was down"}
    assert {run["state"] for run in runs.values()} == {"done"}
    assert result.json["run_id"] in runs
    assert {part["run_id"] for part in result.json["bulk_changes"]} < runs.keys()


def test_a_single_bulk_change_is_one_run(world: World) -> None:
    bulk = world.given(failed(A))
    activate_all(world, A)

    result = world.run("retry-failed", bulk, "-o", "json")

    [run] = world.own("run")
    assert run["run_id"] == result.json["run_id"]
    assert run["state"] == "done"


CTRL_C = b"\x03"


def on_a_terminal(world: World, answer: bytes, *words: object) -> tuple[int, str]:
    """Run the program with a terminal before it, type the answer; returns exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pondctl", *map(str, words)],
        env=os.environ | world.settings,
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1024)
    if answer == CTRL_C:
        process.send_signal(signal.SIGINT)
    else:
        os.write(ours, answer)
    code = process.wait(timeout=30)
    os.close(ours)
    return code, shown.decode()


@pytest.mark.parametrize(
    ("answer", "code"), [(b"n\n", 10), (b"\n", 10), (b"\x04", 10), (CTRL_C, 130), (b"y\n", 0)]
)
def test_at_the_prompt_only_a_yes_begins(world: World, answer: bytes, code: int) -> None:
    bulk = world.given(*map(failed, ICCIDS[:11]))
    activate_all(world, *ICCIDS[:11])
    before = world.everything()

    ended, shown = on_a_terminal(world, answer, "retry-failed", bulk)

    assert ended == code
    assert "11 retries_exhausted" in shown
    assert "Try 11 device changes of 1 bulk change" in shown
    assert (world.everything() == before) == (code != 0)
