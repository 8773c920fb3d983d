"""The ThingSpace of a sandbox as tests see it: put devices in, change them, look at them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pondctl.sandbox.clock import Clock
from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.thingspace.account import Account
from pondctl.sandbox.thingspace.actions import Provisioning
from pondctl.sandbox.thingspace.auth import Tokens
from pondctl.sandbox.thingspace.devices import DeviceStore, SimulatedDevice
from pondctl.sandbox.thingspace.listing import Listing


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device as it is shown now. `msisdn` has eleven digits even where the carrier shows the mdn alone."""

    iccid: str
    state: str
    msisdn: str | None
    account_name: str


class ThingSpace:
    """Thread-safe: every method may be called while the sandbox serves."""

    def __init__(self, config: SandboxConfig, clock: Clock, lock: threading.RLock) -> None:
        self._clock = clock
        self._lock = lock
        self.store = DeviceStore(config, clock.now())
        self.tokens = Tokens(config, clock)
        self.listing = Listing(config, self.store)
        self.provisioning = Provisioning(config, self.store, clock)
        self.account = Account(config)

    def add(
        self,
        iccid: str,
        state: str = "active",
        msisdn: str | None = None,
        *,
        mdn: str | None = None,
        account_name: str | None = None,
        active_in: float | None = None,
    ) -> DeviceView:
        """Put a device in, or replace the one that is there; a state outside the carrier's words is fine.

        Without a number it has none. `active_in` lets it become active so many seconds from now; the
        number is shown from then on, and is made up where none is given. A lone `mdn` is listed alone.
        """
        with self._lock:
            now = self._clock.run_due()
            device = self.store.add(iccid, state)
            device.msisdn = msisdn
            device.mdn = msisdn[1:] if mdn is None and msisdn and msisdn.startswith("1") else mdn
            device.account_name = account_name or device.account_name
            if active_in is not None:
                self.provisioning.schedule_activation(device, now + active_in)
            return _view(device)

    def remove(self, iccid: str) -> None:
        """Take a device out of the account; KeyError where there is none."""
        with self._lock:
            self.store.remove(self._device(iccid))

    def device(self, iccid: str) -> DeviceView:
        """The device as it is shown now; KeyError where there is none."""
        with self._lock:
            return _view(self._device(iccid))

    @property
    def devices(self) -> Mapping[str, DeviceView]:
        """All devices by ICCID, in the carrier's order; worked out when looked at, whatever their number."""
        return _Devices(self)

    @property
    def changed(self) -> int:
        """How many devices differ from the seeded fleet."""
        return len(self.store.changed.keys() | self.store.gone)

    @property
    def unknown_device(self) -> Literal["error", "empty"]:
        """How an unknown device is answered; may be set."""
        return self.listing.unknown_device

    @unknown_device.setter
    def unknown_device(self, value: Literal["error", "empty"]) -> None:
        self.listing.unknown_device = value

    @property
    def failed_logins(self) -> int:
        """Refused logins in a row."""
        return self.tokens.failed_logins

    @property
    def locked(self) -> bool:
        """Whether the user is locked."""
        return self.tokens.locked

    def unlock(self) -> None:
        """Unlock the user and forget the refused logins."""
        with self._lock:
            self.tokens.unlock()

    def expire_bearer(self) -> None:
        """End the bearer now."""
        with self._lock:
            self.tokens.expire_bearer()

    def expire_sessions(self) -> None:
        """End all sessions now, as if idle for too long."""
        with self._lock:
            self.tokens.expire_sessions()

    def _device(self, iccid: str) -> SimulatedDevice:
        device = self.store.find("iccid", iccid, self._clock.run_due())
        if device is None:
            raise KeyError(iccid)
        return device

    def _at(self, index: int) -> DeviceView | None:
        with self._lock:
            device = self.store.at(index, self._clock.run_due())
            return _view(device) if device else None


class _Devices(Mapping[str, DeviceView]):
    def __init__(self, world: ThingSpace) -> None:
        self._world = world

    def __getitem__(self, iccid: str) -> DeviceView:
        return self._world.device(iccid)

    def __iter__(self) -> Iterator[str]:
        for index in range(self._world.store.end):
            view = self._world._at(index)
            if view is not None:
                yield view.iccid

    def __len__(self) -> int:
        return len(self._world.store)


def _view(device: SimulatedDevice) -> DeviceView:
    mdn, msisdn = device.numbers
    number = msisdn or (f"1{mdn}" if mdn else None)
    return DeviceView(device.iccid, device.state, number, device.account_name)
