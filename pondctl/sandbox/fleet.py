"""Seeded fleets of any size: a device is worked out from its index, so a million of them take no memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

from pondctl.sandbox.config import SandboxConfig

_MASK = (1 << 64) - 1
# A golden-ratio sequence fills the unit interval evenly: shares hold in a fleet of twenty, too.
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST_MDN = 2_010_000_000
_MDN_ONLY_EVERY = 5
_INDEX_DIGITS = 12
ODD_STATES = ("pending deactivation", "pre-active", "under review")
PENDING = "pending activation"


class Spread:
    """Deals indexes into kinds by their shares: the same index and seed always give the same kind."""

    def __init__(self, seed: int, shares: tuple[float, ...]) -> None:
        self._offset = (seed * _GOLDEN * _GOLDEN) & _MASK
        self._bounds = [round(bound * (1 << 64)) for bound in accumulate(shares)]

    def kind(self, index: int) -> int:
        """Which share the index fell into; one past the last for what is left over."""
        return bisect_right(self._bounds, (self._offset + index * _GOLDEN) & _MASK)


class IccidRange:
    """ICCIDs of one prefix: prefix, twelve digits of index, Luhn check digit."""

    def __init__(self, prefix: str, size: int) -> None:
        self._prefix = prefix
        self._size = size
        table = _luhn_table()
        padded = prefix.rjust(-(-len(prefix) // 4) * 4, "0")
        self._prefix_sum = sum(table[int(padded[at : at + 4])] for at in range(0, len(padded), 4))

    def iccid(self, index: int) -> str:
        """The ICCID of an index."""
        table = _luhn_table()
        high, low = divmod(index, 10_000)
        top, middle = divmod(high, 10_000)
        check = -(self._prefix_sum + table[top] + table[middle] + table[low]) % 10
        return f"{self._prefix}{index:012d}{check}"

    def index_of(self, iccid: str) -> int | None:
        """The index of an ICCID of this range, else None."""
        middle = iccid[len(self._prefix) : -1]
        if not iccid.startswith(self._prefix) or len(middle) != _INDEX_DIGITS or not iccid.isascii():
            return None
        index = int(middle) if middle.isdigit() else self._size
        return index if index < self._size and self.iccid(index) == iccid else None


@lru_cache(maxsize=1)
def _luhn_table() -> tuple[int, ...]:
    """Luhn sum of four digits whose last one stands left of the check digit (or four further left)."""
    doubled = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    pairs = [tens + doubled[ones] for tens in range(10) for ones in range(10)]
    return tuple(left + right for left in pairs for right in pairs)


class Fleet:
    """The seeded ThingSpace fleet as it was at the start."""

    def __init__(self, config: SandboxConfig) -> None:
        mix = config.mix
        self.size = config.devices
        self._range = IccidRange(f"89148{config.seed % 100:02d}", config.devices)
        shares = (mix.pending, mix.suspended, mix.deactive, mix.without_number, mix.odd)
        self._spread = Spread(config.seed, shares)
        self.iccid = self._range.iccid
        self.index_of = self._range.index_of

    def state(self, index: int) -> tuple[str, bool]:
        """The carrier's word for the device's state, and whether it has a number."""
        kind = self._spread.kind(index)
        if kind == len(_KINDS):
            return "active", True
        word, numbered = _KINDS[kind]
        return word or ODD_STATES[index % len(ODD_STATES)], numbered


_KINDS = ((PENDING, False), ("suspend", True), ("deactive", False), ("active", False), ("", False))


def mdn_of(index: int) -> str:
    """The ten-digit number that a device has, or will have once it is active."""
    return str(_FIRST_MDN + index)


def shows_msisdn(index: int) -> bool:
    """Whether the carrier lists the eleven-digit kind, too: for some devices it lists the mdn alone."""
    return index % _MDN_ONLY_EVERY != 0


def seeded_devices(config: SandboxConfig) -> Iterator[tuple[str, str, str | None]]:
    """ICCID, state and MSISDN (eleven digits) of every seeded ThingSpace device, as at the start."""
    fleet = Fleet(config)
    for index in range(fleet.size):
        state, numbered = fleet.state(index)
        yield fleet.iccid(index), state, f"1{mdn_of(index)}" if numbered else None


def seeded_iccids(config: SandboxConfig) -> Iterator[str]:
    """ICCIDs of the seeded ThingSpace fleet, in the carrier's order."""
    fleet = Fleet(config)
    return (fleet.iccid(index) for index in range(fleet.size))


def pond_range(config: SandboxConfig) -> IccidRange:
    """ICCIDs of the seeded POND fleet: nineteen digits, as POND has them."""
    return IccidRange(f"8910{config.seed % 100:02d}", config.pond_sims)


def seeded_pond_iccids(config: SandboxConfig) -> Iterator[str]:
    """ICCIDs of the seeded POND fleet."""
    iccids = pond_range(config)
    return (iccids.iccid(index) for index in range(config.pond_sims))
