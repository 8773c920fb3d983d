"""Everything that one sandbox simulates, made from its settings; a reset makes a new one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial

from pondctl.sandbox.calls import CallLog
from pondctl.sandbox.clock import Clock
from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.fault_engine import FaultEngine
from pondctl.sandbox.limits import RateLimits
from pondctl.sandbox.pond.api import PondApi
from pondctl.sandbox.pond.errors import refused
from pondctl.sandbox.pond.routes import pond_routes
from pondctl.sandbox.pond.world import Pond
from pondctl.sandbox.routes import Route, Router
from pondctl.sandbox.thingspace.routes import PREFIX, no_such_path, thingspace_routes
from pondctl.sandbox.thingspace.world import ThingSpace
from pondctl.sandbox.wire import Answer, Call, Refused

_logger = logging.getLogger("pondctl.sandbox")


class World:
    """The two carriers, their clock, their faults, and the record of what they were asked."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.lock = threading.RLock()
        self.clock = Clock()
        self.calls = CallLog()
        self.faults = FaultEngine()
        self.limits = RateLimits(config.thingspace_rps, config.pond_rps)
        self.thingspace = ThingSpace(config, self.clock, self.lock)
        self.pond = Pond(config, self.clock, self.lock)
        api = PondApi(config, self.pond)
        self._router = Router([*thingspace_routes(self.thingspace), *pond_routes(api, config.prefix)])
        for spec in config.faults:
            self.faults.add(spec)

    def advance(self, seconds: float) -> None:
        """Let sandbox time pass without waiting, and everything happen that falls due."""
        with self.lock:
            self.clock.advance(seconds)
            self.clock.run_due()

    def route(self, method: str, path: str, body: bytes) -> tuple[Route, str, Mapping[str, str]]:
        """The endpoint of a request, its name and path parameters; where there is none, one that refuses."""
        route, params, known = self._router.find(method, path)
        if route is None:
            name = self._unknown(path)
            route = Route(name, method, path, partial(_no_such_path, known), _never)
        return route, route.endpoint(body), params

    def handle(self, route: Route, call: Call) -> Answer:
        """Let a carrier answer; a bug of the sandbox is a 500 with its traceback in the log."""
        with self.lock:
            call.now = self.clock.run_due()
            try:
                route.check(call)
                return route.handle(call)
            except Refused as refusal:
                return refusal.answer
            except Exception:
                _logger.exception("the sandbox failed on %s %s", call.method, call.path)
                return Answer(500, b"the sandbox has a bug: see its log", "text/plain")

    def handle_later(self, route: Route, call: Call, seconds: float) -> None:
        """Let the call take effect after so many seconds; it is checked now, as it came in now."""
        with self.lock:
            call.now = self.clock.run_due()
            try:
                route.check(call)
            except Refused:
                return
            self.clock.later(call.now + seconds, partial(_take_effect, route.handle, call))

    def _unknown(self, path: str) -> str:
        if path.startswith((f"{PREFIX}/", "/devices/")):
            return "thingspace.unknown"
        return "pond.unknown" if path.startswith(f"{self.config.prefix}/") else "unknown"


def _no_such_path(path_known: bool, call: Call) -> None:
    if call.endpoint == "pond.unknown":
        raise refused(404, f"No resource for {call.method} {call.path}")
    no_such_path(call, path_known=path_known)


def _never(_call: Call) -> Answer:
    return Answer(404)


def _take_effect(handle: Callable[[Call], Answer], call: Call, now: float) -> None:
    call.now = now
    try:
        handle(call)
    except Refused as refusal:
        _logger.info("a late call was refused with %s", refusal.answer.status)
