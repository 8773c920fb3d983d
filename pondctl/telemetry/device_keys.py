"""A key for each device out of a tree of keys, so that the key of one device can be destroyed.

All keys follow from the root: no row for each of a million devices. To forget one device, the key that
its own follows from is replaced by the keys of all other branches, and its leaf by a new random one:
what stood for it before cannot be computed any more, by nobody, and nothing changes for the others.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Two devices of a million share a leaf once in a few such fleets; they are forgotten together then.
DEPTH = 40
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Replaced:
    """How the keys change when a device is forgotten: one branch goes, those beside the leaf come."""

    removed: str
    added: Mapping[str, bytes]


class DeviceKeys:
    """Keys by branch; a branch is the beginning of a path of zeros and ones, the root is empty."""

    def __init__(self, branches: Mapping[str, bytes]) -> None:
        # Under the root everything is found: where somebody has torn a hole, with a key that nobody else has.
        self._branches = {"": new_key(), **branches}
        self._lengths = sorted({len(branch) for branch in self._branches}, reverse=True)

    @classmethod
    def fresh(cls) -> DeviceKeys:
        """A tree that nobody else has."""
        return cls({"": new_key()})

    def key_of(self, device: str) -> bytes:
        """The key of a device."""
        path = _path(device)
        branch = self._branch_over(path)
        return _descend(self._branches[branch], path[len(branch) :])

    def without(self, device: str) -> Replaced:
        """What replaces the branch over a device so that its key is gone."""
        path = _path(device)
        branch = self._branch_over(path)
        key, added = self._branches[branch], {}
        for depth in range(len(branch), DEPTH):
            beside = "1" if path[depth] == "0" else "0"
            added[path[:depth] + beside] = _descend(key, beside)
            key = _descend(key, path[depth])
        added[path] = new_key()
        return Replaced(branch, added)

    def _branch_over(self, path: str) -> str:
        return next(path[:length] for length in self._lengths if path[:length] in self._branches)


def new_key() -> bytes:
    """A random one."""
    return secrets.token_bytes(_KEY_BYTES)


def _path(device: str) -> str:
    digest = hashlib.sha256(device.encode("utf-8", "surrogatepass")).digest()
    return format(int.from_bytes(digest[: DEPTH // 8]), f"0{DEPTH}b")


def _descend(key: bytes, bits: Iterable[str]) -> bytes:
    # BLAKE2 takes a key by itself, in a third of the time that an HMAC takes: forty of these are one key.
    for bit in bits:
        key = hashlib.blake2s(bit.encode("ascii"), key=key).digest()
    return key
