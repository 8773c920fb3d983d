"""A set of ICCIDs that keeps their order and makes no object for each of them."""

from __future__ import annotations

from array import array
from typing import Final

# 22 digits, two a byte, filled up with F as on the SIM itself.
_BYTES: Final = 11
_FIRST_PLACES: Final = 1 << 10


class PackedIccids:
    """Distinct ICCIDs in the order in which they came first: 11 bytes each, and a table of places."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._places = _free_places(_FIRST_PLACES)

    def __len__(self) -> int:
        """How many."""
        return len(self._packed) // _BYTES

    def __getitem__(self, index: int) -> str:
        """The ICCID that came as the `index`-th, from 0."""
        return self._key(index).hex().rstrip("f")

    def __contains__(self, iccid: object) -> bool:
        """Whether this very ICCID, normalised, is among them."""
        return isinstance(iccid, str) and self._places[self._slot(_key_of(iccid))] > 0

    def add(self, iccid: str) -> bool:
        """Append a normalised ICCID; False where it is there already."""
        key = _key_of(iccid)
        slot = self._slot(key)
        if self._places[slot]:
            return False
        self._packed += key
        self._places[slot] = len(self)
        if 3 * len(self) > 2 * len(self._places):
            self._grow()
        return True

    def _key(self, index: int) -> bytes:
        return bytes(self._packed[index * _BYTES : (index + 1) * _BYTES])

    def _slot(self, key: bytes) -> int:
        """Open addressing: where `key` stands, or the free place it would take."""
        places, packed = self._places, self._packed
        mask = len(places) - 1
        slot = hash(key) & mask
        while number := places[slot]:
            if packed[number * _BYTES - _BYTES : number * _BYTES] == key:
                break
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        self._places = _free_places(2 * len(self._places))
        for index in range(len(self)):
            self._places[self._slot(self._key(index))] = index + 1


def _key_of(iccid: str) -> bytes:
    return bytes.fromhex(iccid.ljust(2 * _BYTES, "f"))


def _free_places(count: int) -> array[int]:
    """`count` is a power of two. 0 is free, else the number of the ICCID that is there, from 1."""
    return array("I", [0]) * count
