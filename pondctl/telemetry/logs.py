"""Logs: to stderr, readable on a terminal, JSON lines anywhere else, never with a secret in them.

Info is the normal flow, warning what was retried or mended, error what needs a person, debug each
exchange with a carrier. Libraries that log in their own way end in the same place.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pondctl.telemetry.log_context import log_facts
from pondctl.telemetry.logger import library_level
from pondctl.telemetry.printable import printable
from pondctl.telemetry.redact import redact_event


def configure(*, level: int = logging.WARNING, as_json: bool = True, stream: TextIO | None = None) -> None:
    """Send all logs of `level` and above to `stream` (default: stderr as it is now)."""
    out = cast(TextIO, _Unbreakable(stream or sys.stderr))
    render: Processor = structlog.processors.JSONRenderer() if as_json else _console_line
    shared: list[Processor] = [
        _with_facts,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _ids_as_text,
    ]
    structlog.configure(
        processors=[*shared, redact_event, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_logging(level, out, [*shared, _drop_record, redact_event, render])


class _Unbreakable:
    """All of a stream that a log needs; its reader may go away: an unread log must not end the run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return 0

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


def _with_facts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**log_facts(), **event}


def _console_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One line an event; a traceback keeps its own, indented so that none looks like an event."""
    traceback = event.pop("exception", None)
    head = [str(event.pop(key, "")) for key in ("timestamp", "level", "event")]
    facts = [f"{key}={_quoted(value)}" for key, value in event.items()]
    lines = [printable(" ".join([*head, *facts]))]
    lines += [f"    {printable(line)}" for line in str(traceback or "").splitlines()]
    return "\n".join(lines)


def _quoted(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else repr(value)


def _ids_as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An id is a name: a log store that reads numbers as floats must not round it."""
    for key, value in event.items():
        if isinstance(value, int) and key.endswith("_id"):
            event[key] = str(value)
    return event


def _drop_record(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event


def _adopt_standard_logging(level: int, out: TextIO, processors: list[Processor]) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(library_level(level))
    logging.captureWarnings(True)
