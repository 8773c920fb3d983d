"""`bulk cancel`: who works on it stops, what is open fails as cancelled, its checks are closed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, Result, World

A, B, C = ICCIDS[:3]


def cancel(world: World, bulk: int, *words: object, **settings: str) -> Result:
    return world.run("bulk", "cancel", bulk, "--reason", "wrong list", *words, "-o", "json", **settings)


def half_done(world: World) -> int:
    """A bulk change whose first device is active and whose second is pending, with a queued check."""
    bulk = world.given(A, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")
    assert world.run("sync-bulk", bulk).exit_code == 8
    return bulk


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def busy(world: World) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A bulk change that a run of another process is at work on."""
    for number, iccid in enumerate(ICCIDS):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, 0.5))
    bulk = world.given(*ICCIDS)
    process = world.spawn("sync-bulk", bulk, "--strategy", "lookup", "--workers", "1")
    until(lambda: world.calls("thingspace.lookup") >= 2)
    yield bulk, process
    process.kill()
    process.communicate()


def test_open_rows_fail_as_cancelled_and_settled_ones_stay_as_they_are(world: World) -> None:
    bulk = half_done(world)
    done = world.rows(bulk)[0]

    result = cancel(world, bulk)

    assert result.exit_code == 0, result.stderr
    shown = result.json
    assert (shown["cancelled"], shown["settled_before"], shown["status"]) == (1, 1, "ERROR")
    first, second = world.rows(bulk)
    assert first == done
    assert (second["Status"], second["IsProcessed"], second["HasErrors"], second["StatusDetails"]) == (
        "API_FAILED",
        True,
        True,
        "cancelled: wrong list",
    )
    assert world.header(bulk)["Status"] == "ERROR"


def test_waiting_checks_are_closed(world: World) -> None:
    bulk = half_done(world)

    assert cancel(world, bulk).json["checks_closed"] == 1

    assert [message["state"] for message in world.messages(bulk)] == ["done"]
    assert world.run("worker", "--once", "-o", "json").json["received"] == 0


def test_each_row_and_the_whole_leave_a_log_entry(world: World) -> None:
    bulk = world.given(A, B)

    cancel(world, bulk)

    log = [(entry["M2MDeviceChangeId"], entry["LogEntryDescription"]) for entry in world.log(bulk)]
    ids = [row["Id"] for row in world.rows(bulk)]
    assert log == [
        (ids[0], "pondctl bulk cancel: cancelled"),
        (ids[1], "pondctl bulk cancel: cancelled"),
        (None, "pondctl bulk cancel: 2 devices given up"),
    ]
    assert {entry["ErrorText"] for entry in world.log(bulk)} == {"cancelled: wrong list"}


def test_outcomes_and_reason_are_kept_with_the_run(world: World) -> None:
    bulk = world.given(A)

    run_id = cancel(world, bulk).json["run_id"]

    [run] = world.own("run")
    assert (run["run_id"], run["command"], run["state"], run["reason"]) == (
        run_id,
        "bulk cancel",
        "done",
        "wrong list",
    )
    [outcome] = world.own("outcome")
    assert (outcome["iccid"], outcome["outcome"], outcome["category"]) == (A, "failed", "cancelled")


def test_the_second_time_nothing_changes(world: World) -> None:
    bulk = half_done(world)
    cancel(world, bulk)
    before = world.rows(bulk), world.header(bulk), world.log(bulk), world.messages(bulk)

    result = cancel(world, bulk)

    assert (result.exit_code, result.json["cancelled"]) == (0, 0)
    assert (world.rows(bulk), world.header(bulk), world.log(bulk), world.messages(bulk)) == before


def test_a_bulk_change_that_is_done_stays_done(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.run("sync-bulk", bulk)

    result = cancel(world, bulk)

    assert (result.exit_code, result.json["cancelled"], result.json["status"]) == (0, 0, "PROCESSED")


def test_a_header_left_open_over_settled_rows_says_what_they_say(world: World) -> None:
    settled = {"ICCID": A, "Status": "PROCESSED", "IsProcessed": True, "MSISDN": "12015550123"}
    bulk, empty = world.given(settled, Status="PROCESSING"), world.given(Status="NEW")

    assert cancel(world, bulk).json["status"] == "PROCESSED"
    assert cancel(world, empty).json["status"] == "ERROR"


def test_bulk_show_tells_that_it_was_given_up_and_asks_for_nothing(world: World) -> None:
    bulk = half_done(world)
    cancel(world, bulk)

    shown = world.run("bulk", "show", bulk, "-o", "json").json

    assert (shown["cancelled_because"], shown["waits_for"], shown["next"]) == ("wrong list", None, None)
    assert shown["categories"] == {"cancelled": 1}


def test_a_reason_is_needed(world: World) -> None:
    bulk = world.given(A)

    for words in ((), ("--reason", " ")):
        assert world.run("bulk", "cancel", bulk, *words).exit_code == 2
    assert not world.rows(bulk)[0]["IsProcessed"]


def test_one_that_does_not_exist_is_not_found(world: World) -> None:
    assert cancel(world, 4711).json["error"]["code"] == "not_found"


def test_above_ten_devices_it_asks(world: World) -> None:
    bulk = world.given(*ICCIDS[:11])

    refused = cancel(world, bulk)

    assert (refused.exit_code, refused.json["error"]["code"]) == (2, "confirmation_missing")
    assert not any(row["IsProcessed"] for row in world.rows(bulk))
    assert cancel(world, bulk, "--yes").exit_code == 0


def test_a_dry_run_says_what_would_be_cancelled_and_writes_nothing(world: World) -> None:
    bulk = half_done(world)
    before = world.everything()

    result = cancel(world, bulk, "--dry-run")

    assert (result.exit_code, result.json["cancelled"], result.json["checks_closed"]) == (0, 1, 1)
    assert world.everything() == before


@pytest.mark.parametrize(
    "settings", [{"PONDCTL_ACCESS__ROLE": "viewer"}, {"PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": "[4]"}]
)
def test_who_may_not_does_not(world: World, settings: dict[str, str]) -> None:
    bulk = world.given(A)

    assert cancel(world, bulk, **settings).exit_code == 4
    assert not world.rows(bulk)[0]["IsProcessed"]


def test_more_than_a_thousand_rows_are_cancelled(world: World) -> None:
    bulk = world.given()
    rows = [f"8914800000{number:09d}8" for number in range(2000)]
    added = world.given(*rows)
    world.execute('UPDATE "M2M_DeviceChange" SET "BulkChangeId" = :to', to=bulk)

    result = cancel(world, bulk, "--yes")

    assert result.json["cancelled"] == 2000
    assert all(row["StatusDetails"] == "cancelled: wrong list" for row in world.rows(bulk))
    assert world.rows(added) == []


def test_a_run_at_work_is_asked_to_stop_first(world: World, busy: tuple[int, subprocess.Popen[str]]) -> None:
    bulk, process = busy

    result = cancel(world, bulk, "--yes")

    assert result.exit_code == 0, result.stderr
    process.communicate(timeout=30)
    assert process.returncode == 7
    rows = world.rows(bulk)
    assert all(row["IsProcessed"] for row in rows)
    assert len([row for row in rows if row["MSISDN"]]) == result.json["settled_before"]
    assert world.header(bulk)["Status"] == "ERROR"
    assert not [message for message in world.messages(bulk) if message["state"] == "waiting"]


def test_a_run_that_does_not_stop_is_named_and_nothing_is_cancelled(
    world: World, busy: tuple[int, subprocess.Popen[str]]
) -> None:
    bulk, process = busy
    holder = next(run["run_id"] for run in world.own("run") if run["command"] == "sync-bulk")
    process.send_signal(19)  # SIGSTOP: it holds its lease, and does not hear

    result = cancel(world, bulk, "--yes", "--wait", "1s")

    assert result.exit_code == 6
    assert holder in result.json["error"]["message"]
    assert world.header(bulk)["Status"] != "ERROR"
    assert not any((row["StatusDetails"] or "").startswith("cancelled") for row in world.rows(bulk))
    process.send_signal(18)
