"""Simulated ThingSpace and POND on loopback over a seeded fleet. `Sandbox` needs the extra `sandbox`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pondctl.sandbox.config import FleetMix, SandboxConfig
from pondctl.sandbox.faults import Fault, FaultKind, parse_fault

if TYPE_CHECKING:
    from pondctl.sandbox.server import Sandbox

__all__ = ["Fault", "FaultKind", "FleetMix", "Sandbox", "SandboxConfig", "parse_fault"]


def __getattr__(name: str) -> Any:
    # Settings, fleets and faults must be there without the web server that the extra brings.
    if name == "Sandbox":
        from pondctl.sandbox.server import Sandbox

        return Sandbox
    raise AttributeError(name)
