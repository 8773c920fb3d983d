"""Many devices: every id comes back, and memory stays where it was."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pondctl.models import DeviceOutcome, Outcome, RunResult
from pondctl.output.console import Output
from pondctl.output.tables import Column
from tests.long_form import LONG
from tests.output.given import RUN_ID, begin, device

DEVICES = 100_000 if LONG else 5_000
BATCH = 1_000 if LONG else 250
FEW = 20_000 if LONG else 5_000


def _batch(start: int) -> list[DeviceOutcome]:
    return [
        device(
            n,
            Outcome.FAILED if n % 3 else Outcome.DONE,
            msisdn=f"1201{n:07}",
            device_change_id=9_223_372_036_854_000_000 + n,
        )
        for n in range(start, start + BATCH)
    ]


def _run(output: Output, devices: int = DEVICES) -> None:
    with output.results("sync-bulk") as report:
        begin(report, total=devices)
        for start in range(0, devices, BATCH):
            report.devices(_batch(start))
        report.finish(RunResult("sync-bulk", RUN_ID, {Outcome.DONE: devices}))


def _read(form: str, file: IO[str]) -> Iterator[dict[str, str]]:
    match form:
        case "json":
            yield from json.load(file)["devices"]
        case "jsonl":
            yield from (row for row in map(json.loads, file) if "summary" not in row)
        case _:
            yield from csv.DictReader(file)


@pytest.mark.scale
@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_every_id_survives_the_export(form: str, tmp_path: Path) -> None:
    path = tmp_path / "devices"
    with path.open("w", encoding="utf-8") as file:
        _run(Output(form, stdout=file))

    count = 0
    with path.open(encoding="utf-8") as file:
        for n, row in enumerate(_read(form, file)):
            assert row["iccid"] == f"8914800000{n:010}"
            assert row["msisdn"] == f"1201{n:07}"
            assert row["device_change_id"] == str(9_223_372_036_854_000_000 + n)
            count += 1
    assert count == DEVICES


def _peak(form: str, path: Path, devices: int, *, quiet: bool) -> int:
    with path.open("w", encoding="utf-8") as file:
        tracemalloc.start()
        try:
            _run(Output(form, quiet=quiet, stdout=file), devices)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.scale
@pytest.mark.parametrize(
    ("form", "quiet"), [("json", False), ("table", False), ("jsonl", False), ("csv", False), ("json", True)]
)
def test_memory_does_not_grow_with_the_number_of_devices(form: str, quiet: bool, tmp_path: Path) -> None:
    _peak(form, tmp_path / "warm", BATCH, quiet=quiet)
    # The few are more than a silent run keeps before it goes to a file.
    few = _peak(form, tmp_path / "few", FEW, quiet=quiet)
    many = _peak(form, tmp_path / "many", 3 * FEW, quiet=quiet)

    assert many < few + 64 * FEW


@pytest.mark.scale
@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_a_long_list_does_not_fill_the_memory(form: str, tmp_path: Path) -> None:
    rows = ({"id": n, "name": f"row {n}"} for n in range(50_000 if LONG else 10_000))
    with (tmp_path / "rows").open("w", encoding="utf-8") as file:
        tracemalloc.start()
        try:
            Output(form, stdout=file).table(rows, [Column("id"), Column("name")])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak < (6 if LONG else 2) * 1024 * 1024
