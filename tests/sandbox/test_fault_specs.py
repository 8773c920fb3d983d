from __future__ import annotations

import pytest

from pondctl.errors import UsageError
from pondctl.sandbox import Fault, FaultKind, SandboxConfig, parse_fault
from pondctl.sandbox.fault_engine import FaultEngine
from pondctl.sandbox.faults import ENDPOINTS
from pondctl.sandbox.pond.api import PondApi
from pondctl.sandbox.pond.routes import pond_routes
from pondctl.sandbox.thingspace.routes import thingspace_routes
from pondctl.sandbox.wire import Call
from pondctl.sandbox.world import World


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("thingspace.lookup:latency=0.5", Fault("thingspace.lookup", FaultKind.LATENCY, "0.5")),
        ("thingspace.*:status=503,count=3", Fault("thingspace.*", FaultKind.STATUS, "503", count=3)),
        (
            "pond.add_package:cut-after,after=2,every=3",
            Fault("pond.add_package", FaultKind.CUT_AFTER, after=2, every=3),
        ),
        (
            "*:cut_before,probability=0.1,seed=7",
            Fault("*", FaultKind.CUT_BEFORE, probability=0.1, seed=7),
        ),
        (
            "pond.package_active:refuse=no credit,contains=8910",
            Fault("pond.package_active", FaultKind.REFUSE, "no credit", contains="8910"),
        ),
    ],
)
def test_a_fault_is_read_from_text(spec: str, fault: Fault) -> None:
    assert parse_fault(spec) == fault


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "thingspace.lookup",
        "thingspace.lookup:",
        "thingspace.lookup:explode",
        "thingspace.lokup:status=503",
        "thingspace.lookup:status=many",
        "thingspace.lookup:latency=-1",
        "thingspace.lookup:html=5",
        "thingspace.lookup:status,count",
        "thingspace.lookup:status,count=0",
        "thingspace.lookup:status,count=x",
        "thingspace.lookup:status,often=3",
        "thingspace.lookup:status,every=0",
        "thingspace.lookup:status,probability=2",
    ],
)
def test_a_fault_that_cannot_be_read_is_named(spec: str) -> None:
    with pytest.raises(UsageError, match="invalid fault") as error:
        parse_fault(spec)

    assert repr(spec) in error.value.message
    assert "cut_after" in (error.value.hint or "")


def test_every_endpoint_that_can_be_hit_is_served_and_the_other_way_round() -> None:
    world = World(SandboxConfig())
    routes = thingspace_routes(world.thingspace) + pond_routes(PondApi(world.config, world.pond), "")
    bodies = (b"", b'{"deviceId"', b'"ACTIVE"', b'"TERMINATED"')

    named = {route.endpoint(body) for route in routes for body in bodies}

    assert named == {name for name in ENDPOINTS if not name.endswith("unknown")}


def fired(fault: Fault, calls: int, body: bytes = b"") -> list[int]:
    engine = FaultEngine()
    engine.add(fault)
    call = Call("thingspace.lookup", "POST", "/path/8914", {}, body)
    return [number for number in range(1, calls + 1) if engine.fire(call)]


def test_a_fault_fires_after_so_many_every_so_many_and_so_often() -> None:
    def status(**selection: int) -> Fault:
        return Fault("thingspace.lookup", FaultKind.STATUS, 503, **selection)  # type: ignore[arg-type]

    assert fired(status(), 3) == [1, 2, 3]
    assert fired(status(count=2), 5) == [1, 2]
    assert fired(status(after=3), 5) == [4, 5]
    assert fired(status(every=3), 9) == [3, 6, 9]
    assert fired(status(after=1, every=2, count=2), 9) == [3, 5]


def test_chance_is_seeded() -> None:
    def chance(seed: int) -> list[int]:
        return fired(Fault("*", FaultKind.STATUS, 503, probability=0.2, seed=seed), 1000)

    assert chance(1) == chance(1) != chance(2)
    assert 140 < len(chance(1)) < 260


@pytest.mark.parametrize(("text", "hits"), [("8914", True), ("8915", False), ("in the body", True)])
def test_a_fault_may_look_for_a_text_in_path_or_body(text: str, hits: bool) -> None:
    fault = Fault("*", FaultKind.STATUS, 503, contains=text)

    assert bool(fired(fault, 1, b"it is in the body")) is hits


def test_a_fault_at_another_endpoint_does_not_fire_and_a_disarmed_one_neither() -> None:
    engine = FaultEngine()
    call = Call("thingspace.lookup", "POST", "/", {})
    engine.add("pond.*:status=503")
    lookup = engine.add("thingspace.*:status=500")

    assert engine.fire(call)[FaultKind.STATUS].number == 500
    assert (lookup.matched, lookup.fired) == (1, 1)
    engine.remove(lookup)
    assert engine.fire(call) == {}
    engine.clear()
    assert engine.armed() == []
