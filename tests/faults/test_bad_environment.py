"""Machines as they are: no home, a full disk, a clock that is wrong. Named, and nothing is lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.world import ICCIDS, Result, World

LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def run(
    world: World,
    *words: object,
    before: Callable[[], None] | None = None,
    without: tuple[str, ...] = (),
    **environ: str,
) -> Result:
    """The program as a process of its own, which such an environment needs."""
    given = {**os.environ, **world.settings, **environ}
    done = subprocess.run(
        [sys.executable, "-m", "pondctl", *(str(word) for word in words)],
        env={name: value for name, value in given.items() if name not in without},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        preexec_fn=before,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def at_most(size: int) -> Callable[[], None]:
    """No file grows beyond this: to a program it looks like a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def bulk_of(world: World, count: int = 1) -> int:
    for number, iccid in enumerate(ICCIDS[:count]):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    return world.given(*ICCIDS[:count])


XDG = tuple(f"XDG_{name}_HOME" for name in ("CONFIG", "DATA", "STATE", "CACHE"))


NO_HOMES = pytest.mark.parametrize(
    ("environ", "without"),
    [
        # A folder that cannot be made, whoever tries: as read-only to root.
        ({"HOME": "/dev/null/home"}, XDG),
        ({"XDG_STATE_HOME": "/proc/no", "XDG_CONFIG_HOME": "/proc/no"}, ()),
    ],
    ids=["no home can be written", "no state folder"],
)


@NO_HOMES
def test_without_a_home_the_work_is_done_and_logged(
    world: World, environ: dict[str, str], without: tuple[str, ...]
) -> None:
    key = {"PONDCTL_TELEMETRY__AUDIT_KEY": "a key that is kept elsewhere"}
    ended = run(world, "-v", "sync-bulk", bulk_of(world), without=without, **environ | key)

    assert ended.exit_code == 0, ended.stderr
    assert '"event": "carrier call"' in ended.stderr
    assert ICCIDS[0] not in ended.stderr


@NO_HOMES
def test_where_no_key_of_the_record_can_be_kept_nothing_is_done(
    world: World, environ: dict[str, str], without: tuple[str, ...]
) -> None:
    ended = run(world, "sync-bulk", bulk_of(world), without=without, **environ)

    assert ended.exit_code == 4
    assert "set telemetry.audit_key" in ended.stderr
    assert world.calls() == 0


def test_without_a_home_in_the_environment_the_users_own_is_used(world: World) -> None:
    ended = run(world, "sync-bulk", bulk_of(world), without=(*XDG, "HOME", "USER", "LOGNAME"))

    assert ended.exit_code == 0, ended.stderr


@pytest.mark.skipif("PONDCTL_TEST_DATABASE_URL" in os.environ, reason="the disk is the server's")
def test_a_full_disk_ends_the_run_and_the_next_one_finishes_it(world: World) -> None:
    bulk = bulk_of(world, 40)

    full = run(world, "sync-bulk", bulk, before=at_most(20_000))

    assert full.exit_code == 7, full.stderr
    assert "error: " in full.stderr
    again = run(world, "sync-bulk", bulk)
    assert again.exit_code == 0, again.stderr
    assert world.header(bulk)["Status"] == "PROCESSED"


def test_a_report_that_does_not_fit_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()

    full = run(world, "report", "bulk", bulk_of(world), "--html", folder / "r.html", before=at_most(4096))

    assert full.exit_code == 7, full.stderr
    assert f"{folder / 'r.html'} could not be written: File too large" in full.stderr
    assert list(folder.iterdir()) == []


def test_a_full_disk_under_the_output_is_said(world: World) -> None:
    bulk = bulk_of(world)
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "pondctl", "report", "bulk", str(bulk), "-o", "csv"],
            env={**os.environ, **world.settings},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert process.returncode == 7
    assert "No space left on device" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.skipif(LIBFAKETIME is None, reason="no libfaketime is installed")
@pytest.mark.parametrize("shift", ["-10m", "+10m"])
def test_a_clock_that_is_ten_minutes_off_changes_no_result(world: World, shift: str) -> None:
    """Tokens that one process stored are used, or renewed, by another whose clock says something else."""
    first, second = bulk_of(world), bulk_of(world)
    off = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    assert run(world, "sync-bulk", first).exit_code == 0
    ended = run(world, "sync-bulk", second, **off)
    after = run(world, "sync-bulk", bulk_of(world))

    assert (ended.exit_code, after.exit_code) == (0, 0), ended.stderr
    assert world.sandbox.calls.get("thingspace.login", 0) <= 2
