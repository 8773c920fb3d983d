"""What a sandbox is made of: the fleet, the credentials, the switches. Every secret here is made up."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal

from pondctl.errors import UsageError


@dataclass(frozen=True, slots=True)
class FleetMix:
    """Shares of the seeded ThingSpace fleet; what is left over is active with a number."""

    pending: float = 0.05
    suspended: float = 0.02
    deactive: float = 0.02
    without_number: float = 0.01
    odd: float = 0.01

    def __post_init__(self) -> None:
        """Refuse shares that are no shares."""
        shares = (self.pending, self.suspended, self.deactive, self.without_number, self.odd)
        if min(shares) < 0 or sum(shares) > 1:
            raise UsageError(f"the shares of a fleet must lie between 0 and 1 together: {shares}")


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """All settings of one sandbox. `SandboxConfig()` is an empty world with every check switched on."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    latency_ms: float = 0.0
    faults: tuple[str, ...] = ()
    keep_alive_seconds: int = 30

    devices: int = 0
    mix: FleetMix = field(default_factory=FleetMix)
    activation_seconds: float = 60.0
    action_seconds: float = 0.0
    account_name: str = "0000998877-00001"
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-client-secret"
    username: str = "sandbox-user"
    password: str = "sandbox-password"
    bearer_seconds: float = 3600.0
    session_idle_seconds: float = 1200.0
    login_ends_session: bool = True
    lock_after: int = 5
    unknown_device: Literal["error", "empty"] = "error"
    more_data_status: int = 202
    gateway_shape: Literal["flat", "record"] = "flat"
    thingspace_rps: float | None = None

    pond_sims: int = 0
    pond_prefix: str = "/ds/u/distributorPPUService/v1"
    distributor_id: int = 1234
    api_key: str = "sandbox-api-key"
    api_key_header: str = "x-api-key"
    pond_username: str = ""
    pond_password: str = ""
    package_types: tuple[int, ...] = tuple(range(1001, 1010))
    iccid_lengths: tuple[int, int] = (18, 22)
    unknown_sim_status: Literal[400, 403, 404] = 404
    epoch_milliseconds: bool = False
    pond_rps: float | None = None

    def __post_init__(self) -> None:
        """Refuse an address that others on the network could reach, and sizes below nothing."""
        if not _is_loopback(self.host):
            raise UsageError(
                f"the sandbox listens on loopback only, not on {self.host}", hint="use --host 127.0.0.1"
            )
        if min(self.devices, self.pond_sims, self.latency_ms, self.activation_seconds) < 0:
            raise UsageError("sizes and times of a sandbox cannot be negative")

    @property
    def prefix(self) -> str:
        """Path prefix of POND with exactly one leading slash and none at the end; may be empty."""
        bare = self.pond_prefix.strip("/")
        return f"/{bare}" if bare else ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
