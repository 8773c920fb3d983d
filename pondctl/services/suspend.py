"""Switch a SIM's services off; its packages, and what they cost, stay."""

from __future__ import annotations

from pondctl.services.lifecycle.instructions import Claimed, Ended, Steps
from pondctl.services.lifecycle.switches import Switching, switch


def suspend(iccid: str, device: Claimed, settle_seconds: float) -> Steps[Ended]:
    """Data, voice and SMS DISABLED."""
    return switch(Switching(iccid, enabled=False, settle_seconds=settle_seconds), device)
