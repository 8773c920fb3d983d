"""The POND of a sandbox as tests see it: put SIMs and packages in, change them, look at them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from pondctl.sandbox.clock import Clock
from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.pond.sims import ACTIVE, ENABLED, IN_SERVICE, Package, Sim, SimStore


class Pond:
    """Thread-safe: every method may be called while the sandbox serves. What it returns are copies."""

    def __init__(self, config: SandboxConfig, clock: Clock, lock: threading.RLock) -> None:
        self._clock = clock
        self._lock = lock
        self.store = SimStore(config, clock.now())
        self.package_types = set(config.package_types)
        self.unknown_sim_status: int = config.unknown_sim_status

    def add_sim(
        self,
        iccid: str,
        packages: Iterable[tuple[int, str]] = (),
        *,
        services: str = ENABLED,
        state: str = IN_SERVICE,
    ) -> list[Package]:
        """Put a SIM in, or replace the one that is there; packages are (type id, status), oldest first."""
        with self._lock:
            now = self._clock.run_due()
            sim = Sim(iccid, services, services, services, state)
            self.store.keep(sim)
            for package_type_id, status in packages:
                self.store.new_package(sim, package_type_id, now, status)
            return [replace(package) for package in sim.packages]

    def add_package(self, iccid: str, package_type_id: int, status: str = ACTIVE) -> Package:
        """Give a SIM one more package behind everybody's back; KeyError where there is no such SIM."""
        with self._lock:
            package = self.store.new_package(self._sim(iccid), package_type_id, self._clock.run_due(), status)
            return replace(package)

    def set_package_status(self, package_id: str, status: str) -> None:
        """Move a package behind everybody's back, also where the carrier would refuse it."""
        with self._lock:
            now = self._clock.run_due()
            found = self.store.find_package(package_id)
            if found is None:
                raise KeyError(package_id)
            found[1].move(status, now)
            self.store.keep(found[0])

    def sim(self, iccid: str) -> Sim:
        """The SIM as it is now; KeyError where there is none."""
        with self._lock:
            self._clock.run_due()
            sim = self._sim(iccid)
            return replace(sim, packages=[replace(package) for package in sim.packages])

    def packages(self, iccid: str, status: str | None = None) -> list[Package]:
        """The SIM's packages, oldest first; KeyError where there is no such SIM."""
        return [package for package in self.sim(iccid).packages if status in (None, package.status)]

    def __len__(self) -> int:
        return len(self.store)

    def _sim(self, iccid: str) -> Sim:
        sim = self.store.find(iccid)
        if sim is None:
            raise KeyError(iccid)
        return sim
