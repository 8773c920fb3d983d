"""Switch a SIM's services on again."""

from __future__ import annotations

from pondctl.services._instructions import Claimed, Ended, Steps
from pondctl.services._services import Switching, switch


def resume(iccid: str, device: Claimed, settle_seconds: float) -> Steps[Ended]:
    """Data, voice and SMS ENABLED."""
    return switch(Switching(iccid, enabled=True, settle_seconds=settle_seconds), device)
