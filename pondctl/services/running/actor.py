"""Who runs a command, and how an orderly stop ends it."""

from __future__ import annotations

from dataclasses import dataclass

from pondctl.errors import InterruptedRunError, RunLostError, TerminatedRunError, UnavailableError
from pondctl.models import Stop
from pondctl.services.auditing.trail import Trail


@dataclass(frozen=True, slots=True)
class Actor:
    """Who runs this, on which profile, and why; and where that goes on record."""

    profile: str
    trail: Trail
    reason: str | None = None


def raise_if_stopped(stop: Stop, how_to_go_on: str) -> None:
    """Turn an orderly stop into the exception whose exit code tells why."""
    if not stop.is_set():
        return
    if stop.why == "sigint":
        raise InterruptedRunError("stopped by Ctrl-C; what was in flight is saved", hint=how_to_go_on)
    if stop.why == "sigterm":
        raise TerminatedRunError("stopped by SIGTERM; what was in flight is saved", hint=how_to_go_on)
    if stop.why == "lost":
        raise RunLostError("the lease of this run was lost", hint=how_to_go_on)
    raise UnavailableError(f"stopped: {stop.why}", hint=how_to_go_on)
