"""A sandbox in the foreground of a terminal, until somebody ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pondctl.errors import ConfigurationError
from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.faults import parse_fault


def serve(config: SandboxConfig, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is told line by line where, and how to use it."""
    for spec in config.faults:
        parse_fault(spec)
    try:
        from pondctl.sandbox.server import Sandbox
    except ImportError as error:
        raise ConfigurationError(
            f"the sandbox needs the package {error.name}, which is not installed",
            hint="pip install 'pondctl[sandbox]'",
        ) from error
    with _ended_by_signal() as end, Sandbox(config) as sandbox:
        announce(f"Simulated ThingSpace and POND on {sandbox.url} (Ctrl-C ends them). To use them:")
        for name, value in sandbox.environment().items():
            announce(f"export {name}='{value}'")
        end.wait()


@contextmanager
def _ended_by_signal() -> Iterator[threading.Event]:
    end = threading.Event()

    def ended(_number: int, _frame: FrameType | None) -> None:
        end.set()

    before = {number: signal.signal(number, ended) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
