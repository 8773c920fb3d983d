"""What nothing built on the same parts can be faster than: reading a page, and writing rows."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass

from pondctl.clients._thingspace_devices import parse_listing
from pondctl.clients._thingspace_pages import Pages
from tests.benchmarks.carrier import Carrier
from tests.benchmarks.peer_loop import PlainCaller
from tests.benchmarks.workload import Workload

_BATCH = 1000
_UPDATE = (
    "UPDATE M2M_DeviceChange SET MSISDN = ?, Status = 'PROCESSED', IsProcessed = 1, HasErrors = 0, "
    "LastModified = ?, ProcessedBy = 'pondctl', ProcessedDate = ? WHERE Id = ? AND MSISDN IS NULL"
)


@dataclass(frozen=True)
class Spent:
    """What a piece of work took: on the wall, where other programs count too, and of a processor."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Parsing:
    """One page: the bare JSON, and the processor seconds of that and of all that pondctl makes of it."""

    devices: int
    json: Spent
    ours_cpu_seconds: float


def page_of(carrier: Carrier) -> bytes:
    """The first page of the account, as it travels."""
    caller = PlainCaller(carrier.environment)
    caller.log_in()
    return caller.list_devices(
        accountName=caller["ACCOUNT_NAME"], largestDeviceIdSeen=0, maxNumberOfDevices=2000
    )


def parsing(page: bytes, turns: int = 20) -> Parsing:
    """Both in turn, so that both meet the same machine."""
    wall = bare = ours = 0.0
    devices = 0
    for _ in range(turns):
        looked, began = time.perf_counter(), time.process_time()
        json.loads(page)
        middle = time.process_time()
        wall += time.perf_counter() - looked
        listing, pages = parse_listing(json.loads(page)), Pages("")
        pages.advance(listing)
        devices = len(pages.read(listing).devices)
        bare, ours = bare + middle - began, ours + time.process_time() - middle
    return Parsing(devices, Spent(wall / turns, bare / turns), ours / turns)


def writing(workload: Workload, rows: int) -> Spent:
    """What it takes to settle so many rows with the bare driver: a thousand a transaction, each made safe."""
    connection = sqlite3.connect(workload.path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    now = "2026-01-01 08:00:00"
    began, processor = time.perf_counter(), time.process_time()
    for first in range(1, rows + 1, _BATCH):
        batch = range(first, min(first + _BATCH, rows + 1))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_UPDATE, (("12015550123", now, now, row_id) for row_id in batch))
        connection.execute("COMMIT")
    spent = Spent(time.perf_counter() - began, time.process_time() - processor)
    connection.close()
    return spent
