"""`/_sandbox/…`: how other processes look into a running sandbox and script it. Loopback only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson

from pondctl.errors import UsageError
from pondctl.sandbox.faults import Fault, FaultKind
from pondctl.sandbox.wire import JSON, Answer, Call, json_answer
from pondctl.sandbox.world import World

CONTROL = "/_sandbox/"
_MOST_CALLS = 1000


def control(world: World, reset: Callable[[], World], call: Call) -> Answer:
    """Answer one control request; what it asks wrongly is a 400 that says so."""
    name, _, rest = call.path.removeprefix(CONTROL).partition("/")
    if (call.method, name) == ("POST", "reset"):
        return json_answer(_state(reset()))
    handler = _HANDLERS.get((call.method, name))
    if handler is None:
        return _wrong(404, f"no control endpoint {call.method} {call.path}")
    try:
        return json_answer(handler(world, call, rest))
    except KeyError as error:
        return _wrong(404, f"not found: {error.args[0]}")
    except (UsageError, TypeError, ValueError) as error:
        return _wrong(400, str(error))


def _wrong(status: int, message: str) -> Answer:
    return json_answer({"error": message}, status)


def _body(call: Call) -> Any:
    # A web page cannot send this content type to another origin without asking first.
    if call.content_type != JSON:
        raise UsageError(f"the content type must be {JSON}")
    return orjson.loads(call.body)


def _state(world: World, _call: Call | None = None, _rest: str = "") -> dict[str, Any]:
    thingspace = world.thingspace
    with world.lock:
        world.clock.run_due()
        return {
            "now": world.clock.now(),
            "clock_offset": world.clock.offset,
            "calls": world.calls.counts(),
            "most_calls_at_once": world.calls.most_at_once,
            "faults": _faults(world),
            "limits": world.limits.per_second,
            "thingspace": {
                "devices": len(thingspace.devices),
                "changed": thingspace.changed,
                "failed_logins": thingspace.failed_logins,
                "locked": thingspace.locked,
                "unknown_device": thingspace.unknown_device,
            },
            "pond": {"sims": len(world.pond), "package_types": sorted(world.pond.package_types)},
        }


def _faults(world: World) -> list[dict[str, Any]]:
    return [
        {**asdict(armed.fault), "matched": armed.matched, "fired": armed.fired}
        for armed in world.faults.armed()
    ]


def _get_calls(world: World, call: Call, _rest: str) -> dict[str, Any]:
    pattern = call.query.get("endpoint", ["*"])[-1]
    limit = int(call.query.get("limit", [str(_MOST_CALLS)])[-1])
    calls = world.calls.recent(pattern)
    return {
        "count": world.calls.count(pattern),
        "worst_second": world.calls.worst_second(pattern),
        "calls": [asdict(record) for record in calls[-limit:]],
    }


def _clear_calls(world: World, _call: Call, _rest: str) -> dict[str, int]:
    world.calls.clear()
    return world.calls.counts()


def _get_faults(world: World, _call: Call, _rest: str) -> list[dict[str, Any]]:
    return _faults(world)


def _add_faults(world: World, call: Call, _rest: str) -> list[dict[str, Any]]:
    """A list; each fault as text or as an object with the fields of `Fault`."""
    body = _body(call)
    faults = [_fault(item) for item in (body if isinstance(body, list) else [body])]
    for fault in faults:
        world.faults.add(fault)
    return _faults(world)


def _fault(item: Any) -> Fault | str:
    if isinstance(item, str):
        return item
    return Fault(**{**item, "kind": FaultKind(item["kind"])})


def _clear_faults(world: World, _call: Call, _rest: str) -> list[dict[str, Any]]:
    world.faults.clear()
    return _faults(world)


def _add_devices(world: World, call: Call, _rest: str) -> list[dict[str, Any]]:
    """A list of objects with the arguments of `ThingSpace.add`."""
    return [asdict(world.thingspace.add(**item)) for item in _body(call)]


def _get_device(world: World, _call: Call, iccid: str) -> dict[str, Any]:
    return asdict(world.thingspace.device(iccid))


def _remove_device(world: World, _call: Call, iccid: str) -> dict[str, Any]:
    world.thingspace.remove(iccid)
    return {"iccid": iccid}


def _add_sims(world: World, call: Call, _rest: str) -> list[dict[str, Any]]:
    """A list of objects with the arguments of `Pond.add_sim`."""
    body = _body(call)
    for item in body:
        world.pond.add_sim(**item)
    return [asdict(world.pond.sim(item["iccid"])) for item in body]


def _get_sim(world: World, _call: Call, iccid: str) -> dict[str, Any]:
    return asdict(world.pond.sim(iccid))


def _unlock(world: World, _call: Call, _rest: str) -> dict[str, Any]:
    world.thingspace.unlock()
    return _state(world)


def _advance(world: World, call: Call, _rest: str) -> dict[str, Any]:
    world.advance(float(_body(call)["advance"]))
    return _state(world)


def _set_limits(world: World, call: Call, _rest: str) -> dict[str, float | None]:
    body = _body(call)
    if not body.keys() <= world.limits.per_second.keys():
        raise UsageError(f"limits are set for {', '.join(world.limits.per_second)}")
    world.limits.per_second.update(body)
    return world.limits.per_second


_HANDLERS: dict[tuple[str, str], Callable[[World, Call, str], Any]] = {
    ("GET", "state"): _state,
    ("GET", "calls"): _get_calls,
    ("DELETE", "calls"): _clear_calls,
    ("GET", "faults"): _get_faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "devices"): _add_devices,
    ("GET", "devices"): _get_device,
    ("DELETE", "devices"): _remove_device,
    ("POST", "sims"): _add_sims,
    ("GET", "sims"): _get_sim,
    ("POST", "unlock"): _unlock,
    ("POST", "clock"): _advance,
    ("POST", "limits"): _set_limits,
}
