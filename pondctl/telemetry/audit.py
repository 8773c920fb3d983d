"""The audit trail's arithmetic: a row signs all it says and the row before it, with a key kept elsewhere.

Rows stand in chains. Each run has one of its own, so that runs do not wait for each other; what an
operator does, and where each run begins and ends, stands in the main chain.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pondctl.telemetry.printable import printable
from pondctl.telemetry.redact import redact

MAIN: Final = "main"
# What the first row of the main chain has before it.
NOTHING: Final = "0" * 64
_LISTED: Final = 20
_as_json: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode


@dataclass(frozen=True, slots=True)
class Who:
    """Who does it, from where, under which profile."""

    actor: str
    host: str
    profile: str

    def cleaned(self) -> Who:
        """As it may be kept; done once, as it stands in every row."""
        return Who(_clean(self.actor, 200), _clean(self.host, 200), _clean(self.profile, 100))


class Draft(NamedTuple):
    """What a row will say, before it has its place in a chain. A tuple: some are made for each device."""

    event: str
    command: str
    body: Mapping[str, object]
    run_id: str | None = None
    reason: str | None = None
    device: str | None = None

    def cleaned(self) -> Draft:
        """With a reason and a command that may be kept."""
        reason = None if self.reason is None else _clean(self.reason)
        return self._replace(command=_clean(self.command, 60), reason=reason)


class AuditEntry(NamedTuple):
    """One row, in the order in which its table is read. A tuple: a million of them are verified in one go."""

    chain: str
    sequence: int
    run_id: str | None
    event: str
    command: str
    actor: str
    host: str
    profile: str
    reason: str | None
    device: str | None
    body: str
    # UTC to the millisecond, spelled as it is signed.
    recorded_at: str
    key_id: str
    previous_mac: str
    mac: str


_MAC: Final = AuditEntry._fields.index("mac")


class Link(NamedTuple):
    """Where a chain ends by now."""

    sequence: int
    mac: str


class AuditKey:
    """Signs rows. `id` tells keys apart without giving anything away."""

    def __init__(self, secret: bytes) -> None:
        # For a process of our own that helps to verify; never shown.
        self.secret = secret
        # The key is taken in once; a copy of this signs each row.
        self._keyed = hmac.new(secret, digestmod="sha256")
        self.id = self._hmac(b"pondctl audit key")[:16]

    def _hmac(self, said: bytes) -> str:
        signing = self._keyed.copy()
        signing.update(said)
        return signing.hexdigest()

    def is_right(self, row: Sequence[Any]) -> bool:
        """Whether a row says what it said when it was signed: what makes an entry, then the id."""
        signing = self._keyed.copy()
        # Whatever somebody has put there: numbers, bytes and other letters too.
        try:
            signing.update(_encode(row))
            return hmac.compare_digest(signing.hexdigest(), row[_MAC])
        except TypeError:
            return False

    def add(self, chain: str, last: Link, draft: Draft, who: Who, recorded_at: str) -> AuditEntry:
        """The row that follows `last`; the time as `spelled` gives it."""
        said = (
            chain,
            last.sequence + 1,
            draft.run_id,
            draft.event,
            draft.command,
            who.actor,
            who.host,
            who.profile,
            draft.reason,
            draft.device,
            _as_json(draft.body),
            recorded_at,
            self.id,
            last.mac,
        )
        return AuditEntry(*said, mac=self._hmac(_encode((*said, None, None))))


class RunChain:
    """The chain of one run. It is alone in it, so that it knows the end of it without looking."""

    def __init__(self, key: AuditKey, who: Who, begun: AuditEntry) -> None:
        self._key = key
        self._who = who
        self._begun = begun
        self._begun_at = datetime.fromisoformat(begun.recorded_at)
        self._began = time.monotonic()
        self.run_id = begun.run_id or ""
        self.end = Link(0, begun.mac)

    def sign(self, drafts: Sequence[Draft]) -> list[AuditEntry]:
        """The rows that come next; they are part of the chain once `added` says so."""
        now = spelled(self._begun_at + timedelta(seconds=time.monotonic() - self._began))
        last, entries = self.end, []
        for draft in drafts:
            of_run = Draft(
                draft.event, self._begun.command, draft.body, self.run_id, self._begun.reason, draft.device
            )
            entry = self._key.add(self.run_id, last, of_run, self._who, now)
            entries.append(entry)
            last = Link(entry.sequence, entry.mac)
        return entries

    def added(self, entries: Sequence[AuditEntry]) -> None:
        """These are committed."""
        if entries:
            self.end = end_of(entries)


def spelled(moment: datetime) -> str:
    """A moment as it is signed, and as every database gives it back."""
    return moment.isoformat(" ", "milliseconds")


def end_of(entries: Sequence[AuditEntry]) -> Link:
    """Where the chain ends once these are in it."""
    return Link(entries[-1].sequence, entries[-1].mac)


def without_secrets(arguments: Mapping[str, object]) -> dict[str, object]:
    """Arguments as they may be kept: no secret, devices as pseudonyms, of many the first ones."""
    nothing: tuple[object, ...] = (None, [], ())
    return {
        name: _kept(value) for name, value in arguments.items() if value is not False and value not in nothing
    }


def _kept(value: object) -> object:
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_kept(item) for item in list(value)[:_LISTED]]
        return [*items, f"and {len(value) - _LISTED} more"] if len(value) > _LISTED else items
    if isinstance(value, Mapping):
        return without_secrets({str(name): inner for name, inner in value.items()})
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _clean(str(value))


def _clean(text: str, most: int | None = None) -> str:
    """Text that every database takes and no terminal obeys, without secrets or device identifiers."""
    return printable(str(redact(text)))[:most]


def _encode(row: Sequence[Any]) -> bytes:
    """All but the mac; each value with its length, so that none can pass for two."""
    # A million rows are verified in one go, and most say the same of who and what: that is spelled once.
    (chain, sequence, run_id, event, command, actor, host, profile, reason,
     device, body, recorded_at, key_id, previous_mac, _mac, _id) = row  # fmt: skip
    number = str(sequence)
    return "".join((
        _LENGTH[len(chain)], chain, _LENGTH[len(number)], number,
        _spelled(run_id, event, command, actor, host, profile, reason),
        "-" if device is None else _LENGTH[len(device)] + device,
        _LENGTH[len(body)], body, _LENGTH[len(recorded_at)], recorded_at,
        _LENGTH[len(key_id)], key_id, _LENGTH[len(previous_mac)], previous_mac,
    )).encode("utf-8", "surrogatepass")  # fmt: skip


class _Lengths(dict[int, str]):
    """Spelled once each."""

    def __missing__(self, length: int) -> str:
        spelled = f"{length}:"
        if length < _OFTEN:
            self[length] = spelled
        return spelled


_OFTEN: Final = 4096
_LENGTH: Final = _Lengths()


@lru_cache(maxsize=1024)
def _spelled(*values: str | None) -> str:
    return "".join(["-" if value is None else f"{len(value)}:{value}" for value in values])
