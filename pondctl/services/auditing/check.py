"""Holds the rows of the audit trail against each other, one by one, in the order they were written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pondctl.telemetry.audit import MAIN, NOTHING, AuditEntry, AuditKey, Link

# How the bodies of carrier writes begin, and go on where the answer was lost.
_STEP: Final = '{"step":"'
_UNKNOWN: Final = '","state":"unknown"'
_WRITES: Final = ("write.intent", "write.outcome")


@dataclass(frozen=True, slots=True)
class Bad:
    """The first row that does not fit: where it stands, and why."""

    row_id: int
    place: str
    what: str


class ChainCheck:
    """`take` every row, then `finish`; `bad` is the first that does not fit."""

    def __init__(self, keys: Mapping[str, AuditKey], kept_ends: Mapping[int, str]) -> None:
        self._keys = keys
        self._kept = dict(kept_ends)
        self.end = Link(0, NOTHING)
        self.chains: dict[str, Link] = {}
        self.rows = 0
        self.bad: Bad | None = None
        self.open_actions: set[str] = set()
        self.open_writes: set[str] = set()

    def take(self, row_id: int, entry: AuditEntry) -> bool:
        """Whether the row fits."""
        what = self._misfit(entry)
        if what is None:
            what = self._follow(entry)
        if what is not None:
            self.bad = Bad(row_id, f"{entry.chain}:{entry.sequence}", what)
            return False
        self.rows += 1
        return True

    def finish(self) -> None:
        """All rows were taken: what was kept outside must have been among them."""
        missing = sorted(sequence for sequence in self._kept if sequence > self.end.sequence)
        if self.bad is None and missing:
            what = f"the newest rows are cut off: the main chain went on to {missing[-1]}"
            self.bad = Bad(0, f"{MAIN}:{self.end.sequence + 1}", what)

    def _misfit(self, entry: AuditEntry) -> str | None:
        last = self.end if entry.chain == MAIN else self.chains.get(entry.chain)
        if last is None:
            return "it is of a run that has not begun, or has ended"
        if entry.sequence != last.sequence + 1:
            return f"row {last.sequence + 1} of its chain should stand here: rows are missing, or moved"
        if entry.previous_mac != last.mac:
            return "it does not follow the row before it"
        key = self._keys.get(entry.key_id)
        if key is None:
            return f"it is signed with another key ({entry.key_id}): give that with --key-file"
        if not key.is_right(entry):
            return "it was changed, or made by somebody without the key"
        return None

    def _follow(self, entry: AuditEntry) -> str | None:
        link = Link(entry.sequence, entry.mac)
        if entry.chain != MAIN:
            self.chains[entry.chain] = link
            if entry.event in _WRITES:
                self._note_write(entry)
            return None
        self.end = link
        kept = self._kept.get(link.sequence, link.mac)
        if kept != link.mac:
            return (
                "another row stood here once: the end that was kept outside the database is not in the chain"
            )
        return self._follow_main(entry)

    def _follow_main(self, entry: AuditEntry) -> str | None:
        run_id = entry.run_id or ""
        if entry.event == "run.begun":
            self.chains[run_id] = Link(0, entry.mac)
        elif entry.event in ("run.ended", "run.abandoned"):
            return self._close(run_id, json.loads(entry.body))
        elif entry.event == "action.intent":
            self.open_actions.add(json.loads(entry.body)["action"])
        elif entry.event == "action.outcome":
            self.open_actions.discard(json.loads(entry.body)["action"])
        return None

    def _close(self, run_id: str, said: Mapping[str, object]) -> str | None:
        last = self.chains.pop(run_id, None)
        if last is None:
            return f"run {run_id} ends here, and has not begun"
        if said["rows"] != last.sequence or said["last"] not in (last.mac, None):
            return f"run {run_id} had {said['rows']} rows by here, and {last.sequence} are left"
        return None

    def _note_write(self, entry: AuditEntry) -> None:
        # The signature is right, so the body is as it was made; reading all of it would take longer.
        body = entry.body
        end = body.find('"', len(_STEP)) if body.startswith(_STEP) else -1
        step = body[len(_STEP) : end] if end > 0 else ""
        if entry.event == "write.intent" or body.startswith(_UNKNOWN, end):
            self.open_writes.add(step)
        else:
            self.open_writes.discard(step)
