"""Switch a SIM's services on again."""

from __future__ import annotations

from pondctl.services.lifecycle.instructions import Claimed, Ended, Steps
from pondctl.services.lifecycle.switches import Switching, switch


def resume(iccid: str, device: Claimed, settle_seconds: float) -> Steps[Ended]:
    """Data, voice and SMS ENABLED."""
    return switch(Switching(iccid, enabled=True, settle_seconds=settle_seconds), device)
