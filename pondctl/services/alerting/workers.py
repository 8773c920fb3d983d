"""Which workers are at work: each leaves a sign of life, and takes it away when it ends in order."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from typing import Final

from pondctl.db.unit import Unit
from pondctl.services.running.process import this_host

_PREFIX: Final = "worker:"
# Nobody waits any longer for one that was silent for so long.
_FORGOTTEN_SECONDS: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that has not ended in order; `silent_seconds` since its last sign of life."""

    host: str
    pid: int
    silent_seconds: float

    @property
    def name(self) -> str:
        """Which one it is, for people."""
        return f"{self.host} process {self.pid}"


def sign_of_life(unit: Unit) -> None:
    """This process is a worker, and is alive. What died here before is replaced by it."""
    unit.meta.set(_name(), json.dumps({"host": platform.node(), "pid": os.getpid()}))


def replace_dead(unit: Unit, silent_seconds: float) -> None:
    """A worker begins on this host: those that fell silent here are not waited for any more."""
    for name, _, silent in unit.meta.entries(f"{_PREFIX}{platform.node()}:"):
        if silent > silent_seconds:
            unit.meta.remove(name)
    unit.meta.forget(_PREFIX, _FORGOTTEN_SECONDS)


def sign_off(unit: Unit) -> None:
    """This worker ends in order."""
    unit.meta.remove(_name())


def list_workers(unit: Unit) -> list[Worker]:
    """All that did not sign off."""
    found = [(json.loads(value), silent) for _, value, silent in unit.meta.entries(_PREFIX)]
    return [Worker(each["host"], each["pid"], silent) for each, silent in found]


def _name() -> str:
    return f"{_PREFIX}{platform.node()}:{this_host()}:{os.getpid()}"[:200]
