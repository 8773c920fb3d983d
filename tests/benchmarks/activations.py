"""Activations over a carrier with latency, against what the latency alone would allow.

    python -m tests.benchmarks.activations [DEVICES] [--workers N] [--latency-ms MS]

The sandbox is a process of its own; the program is started as an operator starts it. Three calls a
device (list, add, activate). Prints the ratio to workers / (3 x latency), and the largest memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from pondctl.db.database import Database
from pondctl.db.schema import init_database
from pondctl.sandbox import Sandbox, SandboxConfig

PACKAGE_TYPE = 1001
CALLS_A_DEVICE = 3


def iccid(number: int) -> str:
    """A made-up device."""
    return f"89148{number:014d}"


def serve(devices: int, latency_ms: float) -> None:
    """A carrier with SIMs that have no package; ends with its standard input."""
    with Sandbox(SandboxConfig(latency_ms=latency_ms)) as sandbox:
        for number in range(devices):
            sandbox.pond.add_sim(iccid(number))
        sys.stdout.write(json.dumps(sandbox.environment()) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        counts = sandbox.calls.counts()
        wrong = sum(len(sandbox.pond.packages(iccid(n), "ACTIVE")) != 1 for n in range(devices))
    sys.stdout.write(json.dumps({"calls": counts, "wrong": wrong}) + "\n")


def measure(devices: int, workers: int, latency_ms: float) -> dict[str, object]:
    """One run of the program; what it took."""
    words = [sys.executable, "-m", "tests.benchmarks.activations", str(devices), "--serve"]
    server = subprocess.Popen(
        [*words, "--latency-ms", str(latency_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    environment = json.loads(server.stdout.readline())
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{_database(Path(folder))}"
        targets = Path(folder) / "targets.txt"
        targets.write_text("".join(f"{iccid(number)}\n" for number in range(devices)), encoding="ascii")
        words = ["activate", "--from", targets, "--package-type", PACKAGE_TYPE, "--workers", workers]
        program = subprocess.Popen(
            [sys.executable, "-m", "pondctl", *map(str, words), "-o", "jsonl", "--rps", "10000"],
            env=os.environ | environment | {"PONDCTL_DATABASE__URL": url},
            stdout=subprocess.PIPE,
            text=True,
        )
        began, last, sizes = time.monotonic(), time.monotonic(), []
        watcher = threading.Thread(target=_watch, args=(program.pid, sizes), daemon=True)
        watcher.start()
        assert program.stdout is not None
        first = None
        for line in program.stdout:
            if '"outcome"' in line:
                last = time.monotonic()
                first = first or last
        _, status, usage = os.wait4(program.pid, 0)
        code = program.returncode = os.waitstatus_to_exitcode(status)
    server.stdin.close()
    truth = json.loads(server.stdout.read())
    server.wait()
    seconds = last - (first or began)
    limit = CALLS_A_DEVICE * latency_ms / 1000 * devices / workers
    middle = sizes[len(sizes) // 4 :] or [0.0]
    return {
        "devices": devices,
        "exit": code,
        "seconds": round(seconds, 2),
        "seconds_with_start": round(last - began, 2),
        "share_of_limit": round(limit / seconds, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": max(sizes, default=0.0),
        "mib_after_a_quarter": middle[0],
        "mib_at_the_end": middle[-1],
        **truth,
    }


def _watch(pid: int, sizes: list[float]) -> None:
    process = psutil.Process(pid)
    while True:
        try:
            sizes.append(round(process.memory_info().rss / 2**20, 1))
        except psutil.Error:
            return
        time.sleep(0.25)


def _database(folder: Path) -> Path:
    path = folder / "benchmark.db"
    path.touch()
    database = Database.open(f"sqlite:///{path}")
    init_database(database)
    database.close()
    return path


def main() -> None:
    """Serve, or measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("devices", nargs="?", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    if given.serve:
        serve(given.devices, given.latency_ms)
    else:
        sys.stdout.write(json.dumps(measure(given.devices, given.workers, given.latency_ms), indent=2) + "\n")


if __name__ == "__main__":
    main()
