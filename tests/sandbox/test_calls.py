from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pondctl.sandbox import Sandbox
from pondctl.sandbox.calls import CallLog
from pondctl.sandbox.wire import Call
from tests.sandbox.callers import PondCaller, ThingSpaceCaller

A = "89148000001234567898"


def test_calls_are_counted_by_endpoint(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, pond: PondCaller
) -> None:
    thingspace.lookup(A)
    thingspace.lookup(A)
    thingspace.page()
    pond.http.get("devices/8910300000001234567")

    assert sandbox.calls["thingspace.lookup"] == 2
    assert sandbox.calls["thingspace.get"] == 0
    assert dict(sandbox.calls.items()) == {
        "thingspace.token": 1,
        "thingspace.login": 1,
        "thingspace.lookup": 2,
        "thingspace.page": 1,
        "pond.get_device": 1,
    }
    assert sandbox.calls.count("thingspace.*") == 5
    assert sandbox.calls.count() == 6
    sandbox.calls.clear()
    assert not sandbox.calls


def test_a_call_is_kept_with_its_time_its_iccid_and_its_end_but_no_secret(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    thingspace.lookup(A)

    [record] = sandbox.calls.recent("thingspace.lookup")

    assert (record.iccid, record.method, record.status) == (A, "POST", 400)
    assert record.seconds is not None
    assert 0 <= record.seconds < 5
    everything = "".join(map(repr, sandbox.calls.recent()))
    assert sandbox.config.password not in everything
    assert thingspace.headers["VZ-M2M-Token"] not in everything


def test_the_worst_sliding_second_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    log = CallLog()
    times = iter([0.0, 0.6, 0.9, 1.5, 1.59, 1.7, 9.0])
    monkeypatch.setattr("pondctl.sandbox.calls.time.monotonic", lambda: next(times))
    for _ in range(7):
        log.begin(Call("thingspace.lookup", "GET", "/", {}))

    assert log.worst_second() == 4
    assert log.worst_second("pond.*") == 0


def test_calls_under_way_together_are_noticed(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    sandbox.fault("thingspace.lookup:latency=0.2")
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return thingspace.lookup(A).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {400}

    assert sandbox.calls.most_at_once == 8
