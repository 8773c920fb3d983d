"""The door: one ASGI application that meets every request, lets faults happen, and asks the carriers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from pondctl.sandbox.control import CONTROL, control
from pondctl.sandbox.fault_effects import early_answer, spoil, throttled
from pondctl.sandbox.faults import Fault, FaultKind
from pondctl.sandbox.routes import Route
from pondctl.sandbox.wire import Answer, Call
from pondctl.sandbox.world import World

CUT = "sandbox.cut"  # where the server puts the function that closes this connection at once


class _Cut(Exception):  # noqa: N818 - an event, not an error
    """The connection is to be closed without (the rest of) an answer."""


@dataclass(slots=True)
class _Plan:
    """What the faults decided about one call."""

    call: Call
    route: Route
    fired: dict[FaultKind, Fault]
    headers: dict[str, str] = field(default_factory=dict)


class Front:
    """Replace `world` to start afresh; calls under way end in the old one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._previous: dict[str, tuple[bytes, dict[str, list[str]]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = await _read(receive)
        if body is None:
            return
        world = self.world
        call = _call(scope, body)
        if call.path.startswith(CONTROL):
            await _send(send, control(world, self.reset, call))
            return
        route, call.endpoint, call.params = world.route(call.method, call.path, body)
        record = world.calls.begin(call)
        status: int | None = None
        try:
            plan = _Plan(call, route, world.faults.fire(call))
            answer = await self._answer(world, plan)
            await _send_with_faults(send, answer, plan.fired)
            status = answer.status
        except _Cut:
            scope["state"][CUT]()
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            world.calls.end(record, status)

    def reset(self) -> World:
        """A new world from the same settings: fleet, tokens, clock, faults and counters as at the start."""
        self.world = World(self.world.config)
        self._previous.clear()
        return self.world

    async def _answer(self, world: World, plan: _Plan) -> Answer:
        call, fired = plan.call, plan.fired
        admitted = world.limits.admit(call.endpoint)
        delay = world.config.latency_ms / 1000
        if FaultKind.LATENCY in fired:
            delay += fired[FaultKind.LATENCY].number
        if delay:
            await asyncio.sleep(delay)
        if not admitted:
            return throttled(call, "1")
        if FaultKind.CUT_BEFORE in fired:
            raise _Cut
        if FaultKind.LATE in fired:
            world.handle_later(plan.route, call, fired[FaultKind.LATE].number)
            raise _Cut
        answer = early_answer(call, fired) or self._handled(world, plan)
        if "requestid" in call.headers and call.endpoint.startswith("pond."):
            answer.headers["RequestId"] = call.headers["requestid"]
        if FaultKind.CUT_AFTER in fired:
            raise _Cut
        return answer

    def _handled(self, world: World, plan: _Plan) -> Answer:
        call, fired = plan.call, plan.fired
        if fired:
            _prepare(world, call, fired)
        asked = (call.body, dict(call.query))
        if FaultKind.REPEAT_PAGE in fired:
            call.body, call.query = self._previous.get(call.endpoint, asked)
        else:
            self._previous[call.endpoint] = asked
        answer = world.handle(plan.route, call)
        return spoil(answer, call, fired) if fired and answer.body else answer


def _prepare(world: World, call: Call, fired: dict[FaultKind, Fault]) -> None:
    if FaultKind.EXPIRE_BEARER in fired:
        world.thingspace.expire_bearer()
    if FaultKind.EXPIRE_SESSION in fired:
        world.thingspace.expire_sessions()
    call.ends_badly = FaultKind.FAIL_LATER in fired


def _call(scope: Scope, body: bytes) -> Call:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Call("", scope["method"], scope["path"], headers, body, query)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None where the client left before it was sent."""
    chunks = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


async def _send_with_faults(send: Send, answer: Answer, fired: dict[FaultKind, Fault]) -> None:
    if FaultKind.CUT_BODY in fired:
        await _send(send, answer, upto=len(answer.body) // 2)
        await asyncio.sleep(0)  # what was written goes out before the connection is closed
        raise _Cut
    if FaultKind.SLOW_BODY in fired:
        await _start(send, answer)
        pause = 1 / max(fired[FaultKind.SLOW_BODY].number, 0.01)
        for at in range(len(answer.body)):
            await asyncio.sleep(pause)
            await send({"type": "http.response.body", "body": answer.body[at : at + 1], "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    await _send(send, answer)


async def _send(send: Send, answer: Answer, upto: int | None = None) -> None:
    await _start(send, answer)
    await send({"type": "http.response.body", "body": answer.body[:upto], "more_body": upto is not None})


async def _start(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status != 204:  # noqa: PLR2004 - a 204 has neither type nor length
        headers.append((b"content-type", answer.content_type.encode()))
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
