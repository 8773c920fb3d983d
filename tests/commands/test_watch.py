"""`watch`: it looks until nothing is to come, and answers with its exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from tests.world import ICCIDS, World

A, B = ICCIDS[:2]
QUICK = ("--interval", "0.2s")


def pending(world: World) -> int:
    bulk = world.given(A, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")
    assert world.run("sync-bulk", bulk).exit_code == 8
    return bulk


def finish(world: World, bulk: int) -> None:
    world.thingspace.add(B, state="active", msisdn="12015550124")
    assert world.run("sync-bulk", bulk).exit_code == 0


def test_in_a_pipe_it_writes_a_line_for_each_change_until_all_is_settled(world: World) -> None:
    bulk = pending(world)
    process = world.spawn("watch", bulk, "--exit-status", *QUICK)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(0.6)

    finish(world, bulk)
    rest, stderr = process.communicate(timeout=30)

    assert (process.returncode, stderr) == (0, "")
    assert "PROCESSING  1 of 2 settled: 1 done, 1 pending; waits for check number 1" in first
    assert rest.splitlines()[-1].endswith("PROCESSED  2 of 2 settled: 2 done")
    assert "\x1b" not in first + rest


@pytest.mark.parametrize(
    ("iccid", "code"), [(A, 0), ("nonsense", 3)], ids=["without an error", "with errors"]
)
def test_the_exit_code_is_the_one_of_the_bulk_change(world: World, iccid: str, code: int) -> None:
    bulk = world.given(iccid)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.run("sync-bulk", bulk)

    assert world.run("watch", bulk, "--exit-status").exit_code == code
    assert world.run("watch", bulk).exit_code == 0


def test_what_is_not_settled_in_time_is_8(world: World) -> None:
    bulk = pending(world)
    began = time.monotonic()

    result = world.run("watch", bulk, "--exit-status", "--timeout", "1s", *QUICK)

    assert result.exit_code == 8
    assert 0.9 <= time.monotonic() - began < 5
    assert result.stdout.splitlines()[-1] == "not settled in that time"
    assert world.run("watch", bulk, "--timeout", "0.1s").exit_code == 0


def test_jsonl_is_a_line_for_each_change_and_a_summary(world: World) -> None:
    bulk = pending(world)

    result = world.run("watch", bulk, "-o", "jsonl", "--timeout", "1s", *QUICK)

    look, end = (json.loads(line) for line in result.stdout.splitlines())
    assert (look["id"], look["counts"], look["over"]) == (str(bulk), {"done": 1, "pending": 1}, False)
    assert (end["summary"]["timed_out"], end["summary"]["next_check"]) == (True, 1)


def test_json_is_one_document_with_the_last_look(world: World) -> None:
    bulk = world.given({"ICCID": A, "IsProcessed": True, "MSISDN": "1"}, Status="PROCESSED")

    shown = world.run("watch", bulk, "-o", "json").json

    assert (shown["over"], shown["devices"], shown["counts"]) == (True, 1, {"done": 1})


def test_csv_has_its_columns_once(world: World) -> None:
    bulk = pending(world)

    lines = world.run("watch", bulk, "-o", "csv", "--timeout", "0.5s", *QUICK).stdout.splitlines()

    assert lines[0].startswith("at,id,status,devices,settled")
    assert len(lines) == 2


def test_quiet_says_something_only_where_a_person_is_needed(world: World) -> None:
    fine = world.given({"ICCID": A, "IsProcessed": True, "MSISDN": "1"}, Status="PROCESSED")
    failed = world.given({"ICCID": A, "IsProcessed": True, "HasErrors": True}, Status="PROCESSED")

    assert world.run("watch", fine, "--exit-status", "-q").stdout == ""
    assert "1 failed" in world.run("watch", failed, "--exit-status", "-q").stdout
    assert world.run("watch", pending(world), "--exit-status", "-q", "--timeout", "0.2s").stdout == ""


def test_an_empty_bulk_change_is_settled(world: World) -> None:
    assert world.run("watch", world.given(Status="PROCESSED"), "--exit-status").exit_code == 0


def test_one_that_does_not_exist_is_not_found(world: World) -> None:
    assert world.run("watch", 4711, "-o", "json").json["error"]["code"] == "not_found"


@pytest.mark.parametrize("words", [("--timeout", "soon"), ("--interval", "0"), ("--interval", "-1s")])
def test_times_that_cannot_be_meant_are_usage(world: World, words: tuple[str, ...]) -> None:
    assert world.run("watch", world.given(A), *words).exit_code == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_watch_and_nothing_else(world: World, number: int, code: int) -> None:
    bulk = pending(world)
    process = world.spawn("watch", bulk, "--exit-status")
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(number)
    _, stderr = process.communicate(timeout=10)

    assert process.returncode == code
    assert "the bulk change goes on" in stderr
    assert world.header(bulk)["Status"] == "PROCESSING"


def test_it_asks_no_carrier_and_writes_nothing(world: World) -> None:
    bulk = pending(world)
    calls, before = world.calls(), world.everything()

    world.run("watch", bulk, "--timeout", "0.5s", *QUICK)

    assert world.calls() == calls
    assert world.everything() == before


def test_on_a_terminal_it_is_redrawn_in_place_and_ends_with_one_line(world: World) -> None:
    bulk = pending(world)
    screen, stream = pty.openpty()
    command = [sys.executable, "-m", "pondctl", "watch", str(bulk), "--exit-status", *QUICK]
    environ = os.environ | world.settings | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, env=environ, stdin=stream, stdout=stream, stderr=stream)
    os.close(stream)
    world.thingspace.add(B, state="active", msisdn="12015550124")
    ending = threading.Timer(1.5, lambda: world.spawn("sync-bulk", bulk).communicate())
    ending.start()

    drawn = b""
    with suppress(OSError):  # the other end is closed
        while piece := os.read(screen, 4096):
            drawn += piece
    os.close(screen)
    ending.join()

    assert process.wait(timeout=30) == 0
    text = drawn.decode()
    assert "1 of 2 settled" in text
    assert "\x1b[2K" in text
    assert text.rstrip().splitlines()[-1].rstrip().endswith("PROCESSED  2 of 2 settled: 2 done")
