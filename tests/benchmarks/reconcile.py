"""`reconcile` of a seeded account against a database that knows every device of it.

    python -m tests.benchmarks.reconcile [DEVICES] [--wrong SHARE] [--apply]

The sandbox is a process of its own; the program is started as an operator starts it. Prints devices a
second, calls, and the largest memory of the program. `--wrong` of the rows lack their number.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from pondctl.db.database import Database
from pondctl.db.schema import init_database
from pondctl.sandbox import Sandbox, SandboxConfig
from pondctl.sandbox.fleet import seeded_devices

_ROWS_A_BULK_CHANGE = 50_000
_NO_NUMBER = 1_000_000


def serve(devices: int) -> None:
    """A carrier with a seeded fleet; ends with its standard input."""
    with Sandbox(SandboxConfig(devices=devices)) as sandbox:
        sys.stdout.write(json.dumps(sandbox.environment()) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        calls = sandbox.calls.counts()
    sys.stdout.write(json.dumps(calls) + "\n")


def fill(path: Path, devices: int, wrong: float) -> None:
    """A database in which each device has one row that says what the account says, but for some."""
    database = Database.open(f"sqlite:///{path}")
    init_database(database)
    database.close()
    with sqlite3.connect(path) as connection:
        bulks = -(-devices // _ROWS_A_BULK_CHANGE)
        header = (
            "(Id, ServiceProviderId, ChangeRequestType, Status, CreatedBy, CreatedDate, IsActive, IsDeleted)"
        )
        values = "(?, 2, 'StatusUpdate', 'PROCESSING', 'host', '2026-01-01 08:00:00', 1, 0)"
        connection.executemany(
            f"INSERT INTO BulkChange {header} VALUES {values}", ((n + 1,) for n in range(bulks))
        )
        columns = "BulkChangeId, ICCID, MSISDN, ChangeRequest, Status, IsProcessed, HasErrors"
        rest = "'host', '2026-01-01 08:00:00', 1, 0"
        connection.executemany(
            f"INSERT INTO M2M_DeviceChange ({columns}, CreatedBy, CreatedDate, IsActive, IsDeleted) "
            f'VALUES (?, ?, ?, \'{{"UpdateStatus": "active"}}\', ?, ?, 0, {rest})',
            _rows(devices, wrong),
        )
        connection.execute("UPDATE BulkChange SET ProcessedBy = 'host'")
    connection.close()


def _rows(devices: int, wrong: float) -> Iterator[tuple[Any, ...]]:
    every = round(1 / wrong) if wrong else _NO_NUMBER * 1000
    for place, (iccid, state, msisdn) in enumerate(seeded_devices(SandboxConfig(devices=devices))):
        right = state == "active" and msisdn is not None
        number = None if place % every == every - 1 else msisdn
        bulk = 1 + place // _ROWS_A_BULK_CHANGE
        yield bulk, iccid, number if right else None, "PROCESSED" if right else "PENDING", right


def measure(devices: int, *words: str, wrong: float = 0.0) -> dict[str, Any]:
    """One run of the program; what it took."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.reconcile", str(devices), "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        environment = json.loads(server.stdout.readline())
        took = _run(environment, devices, words, wrong)
        server.stdin.close()
        return took | {"calls": json.loads(server.stdout.readline())}


def _run(environment: dict[str, str], devices: int, words: tuple[str, ...], wrong: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        fill(path, devices, wrong)
        settings = {name: value for name, value in environment.items() if "_POND__" not in name}
        settings["PONDCTL_DATABASE__URL"] = f"sqlite:///{path}"
        out, err = Path(folder) / "out.json", Path(folder) / "err.txt"
        with out.open("w") as stdout, err.open("w") as stderr:
            began = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "pondctl", "reconcile", "-o", "json", "--rps", "1000", *words],
                env=os.environ | settings,
                stdout=stdout,
                stderr=stderr,
            )
            memory, cpu = _watch(process)
            seconds = time.monotonic() - began
        text = out.read_text()
        result = json.loads(text) if text else {"error": err.read_text()}
    shown = ("counts", "mended", "complete", "error")
    return {
        "devices": devices,
        "exit_code": process.returncode,
        "seconds": round(seconds, 1),
        "devices_a_second": round(devices / seconds),
        "cpu_seconds": round(cpu, 1),
        "peak_mib": round(max(memory) / 2**20),
        **{name: result.get(name) for name in shown},
    }


def _watch(process: subprocess.Popen[bytes]) -> tuple[list[int], float]:
    """Its memory now and then, and the processor time that it took."""
    memory, cpu = [0], 0.0
    while process.poll() is None:
        try:
            watched = psutil.Process(process.pid)
            memory.append(watched.memory_info().rss)
            times = watched.cpu_times()
            cpu = times.user + times.system
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    process.wait()
    return memory, cpu


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("devices", type=int, nargs="?", default=100_000)
    parser.add_argument("--wrong", type=float, default=0.0)
    parser.add_argument("--apply", action="store_true")
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    if given.serve:
        serve(given.devices)
        return
    words = ("--apply", "--max-changes", str(given.devices)) if given.apply else ()
    sys.stdout.write(json.dumps(measure(given.devices, *words, wrong=given.wrong), indent=2) + "\n")


if __name__ == "__main__":
    main()
