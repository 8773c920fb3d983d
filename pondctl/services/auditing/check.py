"""Holds the rows of the audit trail against each other, one by one, in the order they were written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from pondctl.telemetry.audit import MAIN, NOTHING, AuditEntry, AuditKey, Link

# How the bodies of carrier writes begin, and go on where the answer was lost.
_STEP: Final = '{"step":"'
_UNKNOWN: Final = '","state":"unknown"'
_INTENT: Final = "write.intent"
_OUTCOME: Final = "write.outcome"
_WRITES: Final = (_INTENT, _OUTCOME)
_NEEDED: Final = ("chain", "sequence", "run_id", "event", "body", "key_id", "previous_mac", "mac")
# Of a row: these, and the id after them.
_wanted: Final = itemgetter(*map(AuditEntry._fields.index, _NEEDED), len(AuditEntry._fields))


@dataclass(frozen=True, slots=True)
class Part:
    """What a part of the rows comes to, for whoever knows how the chains stood before it."""

    last_id: int
    rows: int
    # A chain, and where it must have ended before; no mac: whichever.
    assumed: Sequence[tuple[str, int, str | None]]
    ends: Mapping[str, tuple[int, str]]
    closed: Collection[str]
    open_actions: Collection[str]
    ended_actions: Collection[str]
    open_writes: Collection[str]
    ended_writes: Collection[str]


@dataclass(frozen=True, slots=True)
class Bad:
    """The first row that does not fit: where it stands, and why."""

    row_id: int
    place: str
    what: str


class ChainCheck:
    """`take` all rows, then `finish`; `bad` is the first that does not fit.

    `of_part`: the rows before are not known here; what follows from them is kept in `part`.
    """

    def __init__(
        self, keys: Mapping[str, AuditKey], kept_ends: Mapping[int, str], *, of_part: bool = False
    ) -> None:
        self._keys = keys
        self._kept = dict(kept_ends)
        self._of_part = of_part
        self._assumed: list[tuple[str, int, str | None]] = []
        self._closed: set[str] = set()
        # Where the main chain, and those of open runs, end by now: each a `Link`, as a plain tuple.
        self.ends: dict[str, tuple[int, str]] = {} if of_part else {MAIN: Link(0, NOTHING)}
        self.last_id = 0
        self.rows = 0
        self.bad: Bad | None = None
        self.open_actions: set[str] = set()
        self.open_writes: set[str] = set()
        self._ended_actions: set[str] = set()
        self._ended_writes: set[str] = set()

    def take(self, rows: Iterable[Sequence[Any]]) -> bool:
        """Whether these fit: each what makes an `AuditEntry`, then its id."""
        # This loop is much of the time that a million rows take: no object and few calls for each.
        ends, keys, of_part = self.ends, self._keys, self._of_part
        for row in rows:
            chain, sequence, run_id, event, body, key_id, previous_mac, mac, self.last_id = _wanted(row)
            last = ends.get(chain)
            if last is None and of_part:
                last = self._before(chain, sequence, previous_mac)
            if last is None or sequence != last[0] + 1 or previous_mac != last[1]:
                return self._refuse(row, last)
            if key_id not in keys or not keys[key_id].is_right(row):
                return self._refuse(row, last)
            ends[chain] = (sequence, mac)
            if chain != MAIN:
                if event in _WRITES:
                    self._note_write(event, body)
            elif (what := self._follow(sequence, run_id or "", event, body, mac)) is not None:
                return self._refuse(row, last, what)
            self.rows += 1
        return True

    @property
    def part(self) -> Part | None:
        """What it comes to; None where a row does not fit."""
        if self.bad is not None:
            return None
        return Part(
            self.last_id, self.rows, self._assumed, self.ends, self._closed,
            self.open_actions, self._ended_actions, self.open_writes, self._ended_writes,
        )  # fmt: skip

    def join(self, part: Part) -> bool:
        """Whether the next part fits; if not, nothing of it is taken."""
        for chain, sequence, mac in part.assumed:
            last = self.ends.get(chain)
            if last is None or last[0] != sequence or mac not in (last[1], None):
                return False
        for chain in part.closed:
            self.ends.pop(chain, None)
        self.ends.update(part.ends)
        self.open_actions = self.open_actions.difference(part.ended_actions).union(part.open_actions)
        self.open_writes = self.open_writes.difference(part.ended_writes).union(part.open_writes)
        self.rows += part.rows
        self.last_id = part.last_id
        return True

    def finish(self) -> None:
        """All rows were taken: what was kept outside must have been among them."""
        missing = sorted(sequence for sequence in self._kept if sequence > self.ends[MAIN][0])
        if self.bad is None and missing:
            what = f"the newest rows are cut off: the main chain went on to {missing[-1]}"
            self.bad = Bad(0, f"{MAIN}:{self.ends[MAIN][0] + 1}", what)

    def _before(self, chain: str, sequence: object, mac: str | None) -> tuple[int, str] | None:
        """Where a chain that is new to a part must have ended before."""
        if chain in self._closed or not isinstance(sequence, int):
            return None
        self._assumed.append((chain, sequence - 1, mac))
        return sequence - 1, mac or ""

    def _refuse(self, row: Sequence[Any], last: tuple[int, str] | None, what: str | None = None) -> bool:
        self.bad = Bad(row[-1], f"{row[0]}:{row[1]}", what or self._misfit(row, last))
        return False

    def _misfit(self, row: Sequence[Any], last: tuple[int, str] | None) -> str:
        entry = AuditEntry._make(row[:-1])
        if last is None:
            return "it is of a run that has not begun, or has ended"
        if entry.sequence != last[0] + 1:
            return f"row {last[0] + 1} of its chain should stand here: rows are missing, or moved"
        if entry.previous_mac != last[1]:
            return "it does not follow the row before it"
        if entry.key_id not in self._keys:
            return f"it is signed with another key ({entry.key_id}): give that with --key-file"
        return "it was changed, or made by somebody without the key"

    def _follow(self, sequence: int, run_id: str, event: str, body: str, mac: str) -> str | None:
        if self._kept.get(sequence, mac) != mac:
            return (
                "another row stood here once: the end that was kept outside the database is not in the chain"
            )
        if event == "run.begun":
            self.ends[run_id] = (0, mac)
        elif event in ("run.ended", "run.abandoned"):
            return self._close(run_id, json.loads(body))
        elif event == "action.intent":
            self.open_actions.add(json.loads(body)["action"])
        elif event == "action.outcome":
            self._end(json.loads(body)["action"], self.open_actions, self._ended_actions)
        return None

    def _close(self, run_id: str, said: Mapping[str, Any]) -> str | None:
        last = self.ends.pop(run_id, None)
        if self._of_part:
            last = last or self._before(run_id, said["rows"] + 1, said["last"])
            self._closed.add(run_id)
        if last is None:
            return f"run {run_id} ends here, and has not begun"
        if said["rows"] != last[0] or said["last"] not in (last[1], None):
            return f"run {run_id} had {said['rows']} rows by here, and {last[0]} are left"
        return None

    def _note_write(self, event: str, body: str) -> None:
        # The signature is right, so the body is as it was made; reading all of it would take longer.
        end = body.find('"', len(_STEP)) if body.startswith(_STEP) else -1
        step = body[len(_STEP) : end] if end > 0 else ""
        if event == _OUTCOME:
            self._end(step, self.open_writes, self._ended_writes)
        if event == _INTENT or body.startswith(_UNKNOWN, end):
            self.open_writes.add(step)

    def _end(self, name: str, open_: set[str], ended: set[str]) -> None:
        # Each is begun once: what was begun in a part is of no interest before it.
        if name in open_:
            open_.remove(name)
        elif self._of_part:
            ended.add(name)
