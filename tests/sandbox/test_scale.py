from __future__ import annotations

import threading
import time
import tracemalloc

import pytest

from pondctl.sandbox import SandboxConfig
from pondctl.sandbox.clock import Clock
from pondctl.sandbox.thingspace.render import page_body, render_range
from pondctl.sandbox.thingspace.world import ThingSpace

pytestmark = pytest.mark.scale


def world(devices: int) -> ThingSpace:
    return ThingSpace(SandboxConfig(devices=devices), Clock(), threading.RLock())


def test_pages_are_made_at_fifty_thousand_devices_a_second_and_more() -> None:
    store = world(100_000).store
    started = time.process_time()

    place = 0
    for _ in range(10):
        records, place = render_range(store, place, 2000, 0)
        assert len(page_body(records, more=True)) > 1_000_000

    assert 20_000 / (time.process_time() - started) > 50_000


def test_a_million_devices_take_no_memory_until_they_are_changed() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        thingspace = world(1_000_000)
        for iccid in (thingspace.store.fleet.iccid(index) for index in range(0, 1_000_000, 10_000)):
            assert thingspace.device(iccid).iccid == iccid
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 1_000_000
