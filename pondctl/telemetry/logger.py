"""How every part logs. What formats and redacts is loaded with the first event: most runs tell none."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable

# What sets the logs up; empty as soon as that is done.
_waiting: list[Callable[[], None]] = []
_lock = threading.RLock()
# What is below it costs a comparison: each call to a carrier has something to say at debug.
_least = logging.DEBUG


class Logger:
    """Takes events, and the facts that belong to them, from the first one on."""

    def debug(self, event: str, **facts: object) -> None:
        """Each exchange with a carrier."""
        _log(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """The normal flow."""
        _log(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """What was retried or mended."""
        _log(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """What needs a person."""
        _log(logging.ERROR, event, facts)


class _FirstRecord(logging.Handler):
    """Stands in for the handler of the libraries' logs until one of them has something to say."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand the record on, holding no lock of this handler meanwhile."""
        _begin()
        logging.getLogger().handle(record)
        return True


def start(*, level: int, as_json: bool) -> None:
    """Send all logs of `level` and above to stderr as it is now."""
    stream = sys.stderr

    def configure() -> None:
        from pondctl.telemetry import logs

        logs.configure(level=level, as_json=as_json, stream=stream)

    global _least  # noqa: PLW0603 - one process has one level
    _least = level
    _waiting[:] = [configure]
    if "structlog" in sys.modules:
        _begin()
        return
    root = logging.getLogger()
    root.handlers = [_FirstRecord()]
    root.setLevel(library_level(level))
    logging.captureWarnings(True)


def library_level(level: int) -> int:
    """At debug, HTTP and AWS libraries write whole exchanges; ours say the same in fewer, cleaner words."""
    return max(level, logging.INFO if level <= logging.DEBUG else logging.WARNING)


def _begin() -> None:
    with _lock:
        for configure in _waiting:
            configure()
        _waiting.clear()


def _log(level: int, event: str, facts: dict[str, object]) -> None:
    if level < _least:
        return
    _begin()
    import structlog

    structlog.get_logger().log(level, event, **facts)
