"""`with Sandbox(SandboxConfig(...)) as sandbox:`: both carriers on loopback, in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pondctl.errors import ConfigurationError
from pondctl.sandbox.app import CUT, Front
from pondctl.sandbox.calls import CallLog
from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.fault_engine import ArmedFault
from pondctl.sandbox.faults import Fault
from pondctl.sandbox.pond.world import Pond
from pondctl.sandbox.thingspace.routes import PREFIX
from pondctl.sandbox.thingspace.world import ThingSpace
from pondctl.sandbox.world import World

_BACKLOG = 2048


class _CuttableProtocol(HttpToolsProtocol):
    """Hands every request the means to close its connection at once, without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"] = {CUT: self.transport.abort}


class Sandbox:
    """A running sandbox. `calls`, `thingspace` and `pond` are those since the last reset; ask for them anew.

    The credentials that it lets in are those of `config`.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig()
        self._front = Front(World(self.config))
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._port = self.config.port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; when this returns, requests are answered."""
        listener = self._listen()
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._front,
            http=_CuttableProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=self.config.keep_alive_seconds,
            timeout_graceful_shutdown=0,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._serve(listener),), name="sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the door and every connection. May be called twice."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """Where the sandbox listens."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self._port}"

    @property
    def thingspace_url(self) -> str:
        """For the setting `thingspace.base_url`."""
        return f"{self.url}{PREFIX}"

    @property
    def pond_url(self) -> str:
        """For the setting `pond.base_url`; the distributor comes after it."""
        return f"{self.url}{self.config.prefix}"

    @property
    def thingspace(self) -> ThingSpace:
        """The simulated ThingSpace."""
        return self._front.world.thingspace

    @property
    def pond(self) -> Pond:
        """The simulated POND."""
        return self._front.world.pond

    @property
    def calls(self) -> CallLog:
        """What was asked so far."""
        return self._front.world.calls

    def fault(self, fault: Fault | str) -> ArmedFault:
        """Arm a fault; the result counts how often it fired."""
        return self._front.world.faults.add(fault)

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._front.world.faults.clear()

    def limit(self, carrier: str, per_second: float | None) -> None:
        """Refuse what comes faster than this at `thingspace` or `pond`; None takes the limit off."""
        self._front.world.limits.per_second[carrier] = per_second

    def advance(self, seconds: float) -> None:
        """Let sandbox time pass without waiting."""
        self._front.world.advance(seconds)

    def reset(self) -> None:
        """Everything as at the start, on the same port."""
        self._front.reset()

    def environment(self) -> dict[str, str]:
        """The variables that point pondctl at this sandbox. The secrets in them are made up."""
        config = self.config
        variables = {
            "PONDCTL_THINGSPACE__BASE_URL": self.thingspace_url,
            "PONDCTL_THINGSPACE__ACCOUNT_NAME": config.account_name,
            "PONDCTL_THINGSPACE__CLIENT_ID": config.client_id,
            "PONDCTL_THINGSPACE__CLIENT_SECRET": config.client_secret,
            "PONDCTL_THINGSPACE__USERNAME": config.username,
            "PONDCTL_THINGSPACE__PASSWORD": config.password,
            "PONDCTL_POND__BASE_URL": self.pond_url,
            "PONDCTL_POND__DISTRIBUTOR_ID": str(config.distributor_id),
            "PONDCTL_POND__API_KEY": config.api_key,
            "PONDCTL_POND__API_KEY_HEADER": config.api_key_header,
            "PONDCTL_POND__USERNAME": config.pond_username,
            "PONDCTL_POND__PASSWORD": config.pond_password,
        }
        return {name: value for name, value in variables.items() if value}

    def _listen(self) -> socket.socket:
        host = self.config.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named as TCP, so that asyncio switches Nagle's delay off: else every answer waits 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, self.config.port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise ConfigurationError(
                f"the sandbox cannot listen on {host}:{self.config.port}: {error.strerror}",
                hint="choose another --port; 0 takes a free one",
            ) from error
        return listener

    async def _serve(self, listener: socket.socket) -> None:
        server = self._server
        if server is None:
            return
        await server.serve(sockets=[listener])
        # A client that does not read, or a slow answer, must not keep a socket open beyond the loop.
        for connection in list(server.server_state.connections):
            with contextlib.suppress(AttributeError):
                connection.transport.abort()
        await asyncio.sleep(0)
