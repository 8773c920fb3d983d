"""Metrics from the command line to the file that Prometheus reads."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.world import ICCIDS, World

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def measured(world: World, tmp_path: Path) -> Iterator[Path]:
    """A metrics file that the program is pointed at."""
    path = tmp_path / "metrics" / "pondctl.prom"
    path.parent.mkdir()
    world.settings["PONDCTL_TELEMETRY__METRICS_FILE"] = str(path)
    yield path
    for name in ("PONDCTL_TELEMETRY__METRICS_FILE",):
        world.settings.pop(name, None)


def value(path: Path, name: str, **labels: object) -> float | None:
    """One sample, as a Prometheus parser reads it."""
    wanted = {key: str(word) for key, word in labels.items()}
    found = [
        sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
        if sample.name == name and wanted.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


def test_a_run_is_measured_and_counters_go_on_from_run_to_run(world: World, measured: Path) -> None:
    world.account_is_large()
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    bulk = world.given(ICCIDS[0], ICCIDS[1], "no iccid")

    assert world.run("sync-bulk", bulk).exit_code == 3

    of = {"command": "sync-bulk", "profile": "default"}
    assert value(measured, "pondctl_devices_total", outcome="done", **of) == 1
    assert value(measured, "pondctl_devices_total", outcome="failed", category="not_found", **of) == 1
    assert value(measured, "pondctl_devices_total", category="invalid_iccid", **of) == 1
    assert value(measured, "pondctl_runs_total", state="done", **of) == 1
    assert value(measured, "pondctl_run_seconds_count", **of) == 1
    assert value(measured, "pondctl_exits_total", code=3, **of) == 1
    assert value(measured, "pondctl_last_success_timestamp_seconds", **of) is None
    assert value(measured, "pondctl_device_seconds_count", carrier="thingspace") == 2
    list_calls = {"carrier": "thingspace", "endpoint": "/m2m/v1/devices/actions/list"}
    assert value(measured, "pondctl_call_seconds_count", **list_calls) == 2
    assert value(measured, "pondctl_call_seconds_bucket", le="+Inf", **list_calls) == 2
    assert value(measured, "pondctl_alert_open", alert="failures") == 1
    assert ICCIDS[0] not in measured.read_text()

    assert world.run("sync-bulk", world.given(ICCIDS[0])).exit_code == 0

    assert value(measured, "pondctl_devices_total", outcome="done", **of) == 2
    assert value(measured, "pondctl_exits_total", code=0, **of) == 1
    assert value(measured, "pondctl_last_success_timestamp_seconds", **of)


def test_throttling_and_retries_are_measured(world: World, measured: Path) -> None:
    world.account_is_large()
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    world.sandbox.fault("thingspace.lookup:throttle=0.05,count=1")

    world.run("sync-bulk", world.given(ICCIDS[0]))

    assert value(measured, "pondctl_throttled_total", carrier="thingspace") == 1
    assert value(measured, "pondctl_call_retries_total", carrier="thingspace") == 1
    assert (value(measured, "pondctl_pace_wait_seconds_count", carrier="thingspace") or 0) >= 2
    assert value(measured, "pondctl_alert_open", alert="rate_limited") == 1


def test_a_refused_login_is_measured(world: World, measured: Path) -> None:
    bulk = world.given(ICCIDS[0])

    result = world.run("sync-bulk", bulk, PONDCTL_THINGSPACE__PASSWORD="another one")

    assert result.exit_code == 4
    assert value(measured, "pondctl_refused_logins_total") == 1
    assert value(measured, "pondctl_login_strikes") == 1


def test_a_worker_measures_its_queue(world: World, measured: Path) -> None:
    world.account_is_large()
    world.thingspace.add(ICCIDS[0], state="pending activation")
    world.run("sync-bulk", world.given(ICCIDS[0]))

    assert world.run("worker", "--once").exit_code == 0

    assert value(measured, "pondctl_queue_messages", queue="checks", state="delayed") == 1
    assert value(measured, "pondctl_checks_queued_total", why="planned") == 1
    assert value(measured, "pondctl_last_success_timestamp_seconds", command="sync-bulk")
    assert value(measured, "pondctl_last_success_timestamp_seconds", command="worker")
    assert value(measured, "pondctl_worker_loop_timestamp_seconds") is None


def test_only_a_worker_that_died_is_missed(world: World, measured: Path) -> None:
    def work(how: signal.Signals) -> float | None:
        worker = world.spawn("worker")
        while not measured.exists() or not value(measured, "pondctl_worker_loop_timestamp_seconds"):
            assert worker.poll() is None
            time.sleep(0.05)
        worker.send_signal(how)
        worker.communicate(timeout=60)
        return value(measured, "pondctl_worker_loop_timestamp_seconds")

    assert work(signal.SIGTERM) is None
    assert time.time() - (work(signal.SIGKILL) or 0) < 60


def test_processes_that_end_together_lose_nothing(world: World, measured: Path) -> None:
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    bulks = [world.given(ICCIDS[0]) for _ in range(4)]

    running = [world.spawn("sync-bulk", bulk) for bulk in bulks]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    close_all(running)

    assert value(measured, "pondctl_devices_total", outcome="done") == 4
    assert value(measured, "pondctl_exits_total", command="sync-bulk", code=0) == 4
    assert [each.name for each in measured.parent.iterdir() if "draft" in each.name] == []


def close_all(running: list[subprocess.Popen[str]]) -> None:
    for process in running:
        process.communicate()


def test_a_file_that_cannot_be_written_costs_the_run_nothing(world: World, tmp_path: Path) -> None:
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    missing = tmp_path / "no folder" / "pondctl.prom"

    result = world.run("sync-bulk", world.given(ICCIDS[0]), PONDCTL_TELEMETRY__METRICS_FILE=str(missing))

    assert result.exit_code == 0
    assert result.stderr.count("metrics file") == 1


def test_what_is_no_metrics_file_is_begun_anew(world: World, measured: Path) -> None:
    measured.write_bytes(b"\xff\xfe no metrics {{{")
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")

    assert world.run("sync-bulk", world.given(ICCIDS[0])).exit_code == 0

    assert value(measured, "pondctl_devices_total", outcome="done") == 1
    assert os.stat(measured).st_mode & 0o444 == 0o444


@pytest.mark.parametrize("words", [("status",), ("sync-bulk", 1, "--dry-run"), ("config", "show")])
def test_who_only_looks_measures_nothing(world: World, measured: Path, words: tuple[Any, ...]) -> None:
    world.given(ICCIDS[0])

    world.run(*words)

    assert not measured.exists()
