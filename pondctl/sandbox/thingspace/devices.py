"""The devices of the account: the seeded fleet, and on top of it only what was added or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.fleet import PENDING, Fleet, mdn_of, shows_msisdn

# The carrier's internal id is no count from one: a cursor that is mistaken for an offset must not work.
_FIRST_ID = 480_000
_ID_STEP = 7
_NUMBERLESS = frozenset({PENDING, "deactive", "pre-active", "preactive"})
SERVICE_PLAN = "SandboxPlan"
GROUP = "sandbox"


@dataclass(slots=True)
class Event:
    """One line of a device's provisioning history."""

    at: float
    event_type: str
    status: str


@dataclass(slots=True)
class SimulatedDevice:
    """One device. The numbers are there from the start but shown only in states that have one."""

    index: int
    iccid: str
    state: str
    account_name: str
    mdn: str | None = None
    msisdn: str | None = None
    step: int = 0  # rises with every provisioning action; an effect of an older one is void
    busy: bool = False
    events: list[Event] = field(default_factory=list)

    @property
    def device_id(self) -> int:
        """The carrier's internal id, the paging cursor."""
        return id_of(self.index)

    @property
    def imei(self) -> str:
        """Made up from the index."""
        return f"35{self.index:013d}"

    @property
    def numbers(self) -> tuple[str | None, str | None]:
        """The mdn and msisdn that the carrier shows in this state."""
        return (None, None) if self.state.lower() in _NUMBERLESS else (self.mdn, self.msisdn)

    def assign_number(self) -> None:
        """Give the device the number it was meant to have, unless it has one."""
        if self.mdn is None and self.msisdn is None:
            self.mdn = mdn_of(self.index)
            self.msisdn = f"1{self.mdn}" if shows_msisdn(self.index) else None


def id_of(index: int) -> int:
    """Internal id of a place in the order."""
    return _FIRST_ID + index * _ID_STEP


def first_after(device_id: int) -> int:
    """The first place in the order whose id is above this one."""
    return max(0, (device_id - _FIRST_ID) // _ID_STEP + 1)


class DeviceStore:
    """Devices by place and by identifier. `version` rises with every change, so pages can be kept."""

    def __init__(self, config: SandboxConfig, started: float) -> None:
        self.fleet = Fleet(config)
        self.account_name = config.account_name
        self.fleet_active_at = started + config.activation_seconds
        self.version = 0
        self.end = self.fleet.size  # one past the last place
        self.changed: dict[int, SimulatedDevice] = {}
        self.gone: set[int] = set()
        self._added: dict[str, int] = {}

    def __len__(self) -> int:
        return self.end - len(self.gone)

    def seeded(self, index: int, now: float) -> tuple[str, str | None, str | None]:
        """State, mdn and msisdn that an unchanged device of the fleet shows."""
        state, numbered = self.fleet.state(index)
        if state == PENDING and now >= self.fleet_active_at:
            state, numbered = "active", True
        if not numbered:
            return state, None, None
        mdn = mdn_of(index)
        return state, mdn, f"1{mdn}" if shows_msisdn(index) else None

    def at(self, index: int, now: float) -> SimulatedDevice | None:
        """The device at a place, or None where it was removed. Changes to it count only after `keep`."""
        if index in self.gone:
            return None
        device = self.changed.get(index)
        if device is not None:
            return device
        state, mdn, msisdn = self.seeded(index, now)
        return SimulatedDevice(index, self.fleet.iccid(index), state, self.account_name, mdn, msisdn)

    def find(self, kind: str, identifier: str, now: float) -> SimulatedDevice | None:
        """The device with this identifier; unknown kinds find nothing."""
        if kind == "iccid":
            index = self._index_of(identifier)
            return None if index is None else self.at(index, now)
        for device in self.changed.values():
            if device.index not in self.gone and _has(device, kind, identifier):
                return device
        index = _seeded_index(kind, identifier)
        seeded = self.at(index, now) if 0 <= index < self.fleet.size else None
        return seeded if seeded and _has(seeded, kind, identifier) else None

    def keep(self, device: SimulatedDevice) -> None:
        """Store a device as it is now."""
        self.changed[device.index] = device
        self.version += 1

    def add(self, iccid: str, state: str) -> SimulatedDevice:
        """A fresh device under this ICCID: at the end of the order, or in the place it has already."""
        index = self._index_of(iccid)
        if index is None:
            index = self._added[iccid] = self.end
            self.end += 1
        self.gone.discard(index)
        old = self.changed.get(index)
        device = SimulatedDevice(index, iccid, state, self.account_name, step=old.step + 1 if old else 0)
        self.keep(device)
        return device

    def remove(self, device: SimulatedDevice) -> None:
        """Take a device out of the account."""
        self.gone.add(device.index)
        self.version += 1

    def iter(self, start: int, now: float) -> Iterator[SimulatedDevice]:
        """All devices from a place on, in the carrier's order."""
        for index in range(start, self.end):
            device = self.at(index, now)
            if device is not None:
                yield device

    def _index_of(self, iccid: str) -> int | None:
        added = self._added.get(iccid)
        return self.fleet.index_of(iccid) if added is None else added


_READ: dict[str, Callable[[SimulatedDevice], str | None]] = {
    "imei": lambda device: device.imei,
    "mdn": lambda device: device.numbers[0],
    "msisdn": lambda device: device.numbers[1],
    "iccid": lambda device: device.iccid,
}


def identifier_of(device: SimulatedDevice, kind: str) -> str | None:
    """The device's identifier of a kind, where it shows one."""
    return _READ[kind](device) if kind in _READ else None


def _has(device: SimulatedDevice, kind: str, identifier: str) -> bool:
    return identifier_of(device, kind) == identifier


def _seeded_index(kind: str, identifier: str) -> int:
    if kind == "imei":
        return int(identifier[2:] or -1)
    if kind in ("mdn", "msisdn"):
        return int(identifier[-10:]) - int(mdn_of(0))
    return -1
