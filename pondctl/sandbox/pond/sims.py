"""SIMs and packages of POND: records, and a seeded fleet that is worked out from the index."""

from __future__ import annotations

import random
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.fleet import Spread, pond_range

NOT_ACTIVE, ACTIVE, TERMINATED = "NOT_ACTIVE", "ACTIVE", "TERMINATED"
STATUSES = (NOT_ACTIVE, ACTIVE, TERMINATED)
ENABLED, DISABLED = "ENABLED", "DISABLED"
MOVES = {NOT_ACTIVE: (ACTIVE, TERMINATED), ACTIVE: (TERMINATED,), TERMINATED: ()}
IN_SERVICE, PRE_SERVICE, SIM_TERMINATED = "In-Service", "Pre-Service", "Terminated"

_THIRTY_DAYS = 30 * 86_400
# What the seeded SIMs hold: share, package states, services, overall state; the rest has one ACTIVE package.
_SHARES = (0.10, 0.08, 0.06, 0.04, 0.02)
_HOLDINGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((), ENABLED, PRE_SERVICE),
    ((ACTIVE, ACTIVE), ENABLED, IN_SERVICE),
    ((NOT_ACTIVE,), ENABLED, PRE_SERVICE),
    ((ACTIVE,), DISABLED, IN_SERVICE),
    ((TERMINATED,), DISABLED, SIM_TERMINATED),
    ((ACTIVE,), ENABLED, IN_SERVICE),
)


@dataclass(slots=True)
class Package:
    """One package of a SIM; times are seconds since the epoch."""

    package_id: str
    iccid: str
    package_type_id: int
    status: str
    created: float
    activated: float | None = None
    terminated: float | None = None

    @property
    def expires(self) -> float | None:
        """When its validity would be over."""
        return None if self.activated is None else self.activated + _THIRTY_DAYS

    def move(self, status: str, now: float) -> None:
        """Take another status."""
        if status == ACTIVE:
            self.activated = now
        if status == TERMINATED:
            self.terminated = now
        self.status = status


@dataclass(slots=True)
class Sim:
    """One SIM with its services and packages, oldest package first."""

    iccid: str
    data: str = ENABLED
    voice: str = ENABLED
    sms: str = ENABLED
    state: str = IN_SERVICE
    packages: list[Package] = field(default_factory=list)


class SimStore:
    """SIMs by ICCID and by package id. Only what was added or changed is stored."""

    def __init__(self, config: SandboxConfig, started: float) -> None:
        self._config = config
        self._started = started
        self._range = pond_range(config)
        self._spread = Spread(config.seed, _SHARES)
        self._mask = random.Random(f"packages {config.seed}").getrandbits(48)
        self._random = random.Random(f"new packages {config.seed}")
        self._sims: dict[str, Sim] = {}
        self._owners: dict[str, str] = {}
        self.extra = 0

    def __len__(self) -> int:
        return self._config.pond_sims + self.extra

    def find(self, iccid: str) -> Sim | None:
        """The SIM, or None. Changes to it count only after `keep`."""
        sim = self._sims.get(iccid)
        if sim is not None:
            return sim
        index = self._range.index_of(iccid)
        return None if index is None else self._seeded(index, iccid)

    def find_package(self, package_id: str) -> tuple[Sim, Package] | None:
        """A package and its SIM by the package's id alone."""
        iccid = self._owners.get(package_id) or self._seeded_owner(package_id)
        sim = self.find(iccid) if iccid else None
        for package in sim.packages if sim else ():
            if sim and package.package_id == package_id:
                return sim, package
        return None

    def keep(self, sim: Sim) -> None:
        """Store a SIM as it is now."""
        if sim.iccid not in self._sims and self._range.index_of(sim.iccid) is None:
            self.extra += 1
        self._sims[sim.iccid] = sim
        self._owners.update({package.package_id: sim.iccid for package in sim.packages})

    def new_package(self, sim: Sim, package_type_id: int, now: float, status: str = NOT_ACTIVE) -> Package:
        """Put one more package into the SIM; its id does not tell its age."""
        package_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        package = Package(package_id, sim.iccid, package_type_id, NOT_ACTIVE, now)
        if status != NOT_ACTIVE:
            package.move(status, now)
        sim.packages.append(package)
        self.keep(sim)
        return package

    def stored(self) -> Iterable[Sim]:
        """The SIMs that were added or changed."""
        return self._sims.values()

    def _seeded(self, index: int, iccid: str) -> Sim:
        statuses, services, state = _HOLDINGS[self._spread.kind(index)]
        sim = Sim(iccid, services, services, services, state)
        types = self._config.package_types
        for place, status in enumerate(statuses):
            type_id = types[(index + place) % len(types)]
            package = Package(self._seeded_id(index, place), iccid, type_id, NOT_ACTIVE, self._started)
            if status != NOT_ACTIVE:
                package.move(status, self._started)
            sim.packages.append(package)
        return sim

    def _seeded_id(self, index: int, place: int) -> str:
        """Looks like a random UUID, but the index can be read back from its first twelve digits."""
        head = f"{index ^ self._mask:012x}"
        tail = zlib.crc32(f"{head}{place}".encode())
        return f"{head[:8]}-{head[8:]}-4{place:03x}-8{tail & 0xFFF:03x}-{tail:012x}"

    def _seeded_owner(self, package_id: str) -> str | None:
        try:
            index = int(package_id.replace("-", "")[:12], 16) ^ self._mask
        except ValueError:
            return None
        return self._range.iccid(index) if index < self._config.pond_sims else None
