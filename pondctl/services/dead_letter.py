"""The desk for dead letters: queue them again, discard them, take that back. None is ever lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pondctl.clients.pacing import LocalPace
from pondctl.db.batches import chunks
from pondctl.db.database import Database
from pondctl.db.dead_letters import DISCARDED, OPEN
from pondctl.db.messages import WAITING
from pondctl.db.records import DeadLetter
from pondctl.db.unit import Unit
from pondctl.errors import (
    MessageError,
    NotFoundError,
    PermissionDeniedError,
    PondctlError,
    QueueUnavailableError,
    UsageError,
)
from pondctl.models import EMBEDDED_QUEUE, Stop
from pondctl.services.dead_letters.edit import Edit, successor
from pondctl.services.dead_letters.requeue import Requeue, forbidden_by, settled_already, target_of
from pondctl.services.dead_letters.result import Became, DeskResult, Settled
from pondctl.services.dead_letters.selection import Scope
from pondctl.services.queueing.dispatch import Rules
from pondctl.services.queueing.outbox import Outbox
from pondctl.services.running.actor import Actor, raise_if_stopped
from pondctl.services.running.user import user_name

# What one cut can hit; also what SQS takes at once.
_BATCH: Final = 10
_UNPACED: Final = 1e6

Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """`outbox_of` gives the way to a queue; `check_moves` raises where AWS moves the same messages, and
    returns a warning where that cannot be known; `advance` hears how many of how many are done."""

    database: Database
    actor: Actor
    rules: Rules
    queue_name: str
    outbox_of: Callable[[str], Outbox]
    check_moves: Callable[[], str | None]
    stop: Stop
    advance: Advance = lambda done, total: None

    def requeue(
        self, scope: Scope, edit: Edit, *, requests_per_second: float | None = None, dry_run: bool = False
    ) -> DeskResult:
        """Queue the letters again, a batch at a time. A stop ends it between two batches.

        Raises `MessageError` where the edit breaks a message: then nothing was stored.
        """
        result = DeskResult("dead-letter requeue", dry_run)
        if warning := self.check_moves():
            result.warn(warning)
        if edit:
            self._require_sound(scope, edit)
        if not dry_run:
            self._send_left_over(result)
        size = min(_BATCH, max(1, int(requests_per_second or _BATCH)))
        wanted = requests_per_second if requests_per_second and not dry_run else _UNPACED
        pace = LocalPace(wanted, self.stop)

        def batch(ids: Sequence[int]) -> list[Settled]:
            for _ in ids:
                pace.wait()
            return [] if self.stop.is_set() else self._requeue(ids, edit, result)

        return self._run(scope, result, batch, size)

    def discard(self, scope: Scope, *, dry_run: bool = False) -> DeskResult:
        """Put the letters aside; they stay in the table until they are pruned. Needs a reason."""
        self.require_reason()
        return self._move(scope, "dead-letter discard", (OPEN, DISCARDED, Became.DISCARDED), dry_run)

    def require_reason(self) -> None:
        """Raise `UsageError` where nobody says why."""
        if not (self.actor.reason or "").strip():
            raise UsageError("discarding needs a reason", hint='add --reason "why"')

    def restore(self, scope: Scope, *, dry_run: bool = False) -> DeskResult:
        """Take back that the letters were discarded."""
        return self._move(scope, "dead-letter restore", (DISCARDED, OPEN, Became.RESTORED), dry_run)

    def raise_trouble(self, result: DeskResult, again: str) -> None:
        """Raise what kept the action from its end; `again` is the command for the rest."""
        if result.trouble is not None:
            raise result.trouble
        if result.left:
            raise_if_stopped(self.stop, again)

    def _requeue(self, ids: Sequence[int], edit: Edit, result: DeskResult) -> list[Settled]:
        keys = {letter_id: str(uuid.uuid4()) for letter_id in ids}
        who = (user_name(), self.actor.reason)
        work = Requeue(keys, edit, self.queue_name, self.rules, *who, result.dry_run)
        redo = self.database.read if result.dry_run else self.database.write
        settled = redo(lambda unit: _each(unit, ids, work.run, self._forbidden))
        for text in work.warnings:
            result.warn(text)
        return settled

    def _move(self, scope: Scope, command: str, way: tuple[str, str, Became], dry_run: bool) -> DeskResult:
        source, target, became = way

        def one(unit: Unit, letter: DeadLetter) -> Settled:
            if letter.state != source:
                return settled_already(letter)
            by, reason = user_name(), self.actor.reason
            event = {"event": str(became), "at": unit.now().isoformat() + "Z", "by": by, "reason": reason}
            history = (*letter.attempts, event)
            if not dry_run and not unit.dead_letters.mark(
                letter.id, target, from_state=source, by=by, reason=reason, history=history
            ):
                return Settled(letter.id, Became.CONFLICT, "settled by somebody else meanwhile")
            return Settled(letter.id, became)

        def all_of(unit: Unit, letters: Sequence[DeadLetter]) -> list[Settled]:
            return [one(unit, letter) for letter in letters]

        def batch(ids: Sequence[int]) -> list[Settled]:
            redo = self.database.read if dry_run else self.database.write
            return redo(lambda unit: _each(unit, ids, all_of, self._forbidden))

        return self._run(scope, DeskResult(command, dry_run), batch, _BATCH)

    def _run(
        self,
        scope: Scope,
        result: DeskResult,
        batch: Callable[[Sequence[int]], list[Settled]],
        size: int,
    ) -> DeskResult:
        result.letters += [Settled(each, Became.NOT_FOUND, "does not exist") for each in scope.missing]
        done = 0
        for ids in chunks(scope.ids, size):
            settled = [] if self.stop.is_set() else batch(ids)
            if not settled:
                break
            result.letters += settled
            done += len(settled)
            self.advance(done, len(scope.ids))
            if not result.dry_run:
                self._send(settled, result)
            if result.trouble is not None:
                break
        result.left = len(scope.ids) - done
        if result.unsent and result.trouble is None:
            result.trouble = _unsent(result.unsent)
        return result

    def _send(self, settled: Sequence[Settled], result: DeskResult) -> None:
        """What was committed is safe in the outbox; an error here only says that it is still there."""
        queues = {each.queue for each in settled if each.queue} - {EMBEDDED_QUEUE}
        for queue in sorted(queues):
            try:
                self.outbox_of(queue).flush()
            except PondctlError as error:
                result.trouble = error if isinstance(error, PermissionDeniedError) else None
                result.trouble = result.trouble or _unsent(len(settled), error.message)
        if queues:
            keys = [each.key for each in settled if each.key]
            found = self.database.read(lambda unit: unit.deliveries.find(keys))
            result.unsent += sum(each.state == WAITING for each in found.values())

    def _send_left_over(self, result: DeskResult) -> None:
        """What a requeue that was cut has left in the outbox."""
        for queue in self.database.read(lambda unit: unit.messages.queues_due()):
            try:
                if queue != EMBEDDED_QUEUE:
                    self.outbox_of(queue).flush()
            except PondctlError as error:
                result.warn(f"messages of before are still in the outbox: {error.message}")

    def _require_sound(self, scope: Scope, edit: Edit) -> None:
        for ids in chunks(scope.ids, 100):
            for letter in self.database.read(partial(_letters, ids)):
                if letter.state != OPEN:
                    continue
                try:
                    successor(letter, edit, key="check", queue=target_of(letter, self.queue_name))
                except MessageError as error:
                    error.hint = f"dead letter {letter.id} was not changed, and nothing was queued"
                    raise

    def _forbidden(self, unit: Unit, letters: Sequence[DeadLetter]) -> dict[int, str]:
        """Letters about bulk changes that `access.service_provider_ids` keeps the hands off."""
        if not self.rules.allowed:
            return {}
        ids = {letter.bulk_change_id for letter in letters if letter.bulk_change_id is not None}
        known = unit.open_work.find(ids)
        about = {letter.id: known.get(letter.bulk_change_id or 0) for letter in letters}
        why = {each: found and forbidden_by(self.rules, found) for each, found in about.items()}
        return {each: text for each, text in why.items() if text}


def _each(
    unit: Unit,
    ids: Sequence[int],
    work: Callable[[Unit, Sequence[DeadLetter]], list[Settled]],
    forbidden: Callable[[Unit, Sequence[DeadLetter]], dict[int, str]],
) -> list[Settled]:
    letters = _letters(ids, unit)
    gone = set(ids) - {letter.id for letter in letters}
    kept_off = forbidden(unit, letters)
    return [
        *(Settled(each, Became.NOT_FOUND, "does not exist any more") for each in sorted(gone)),
        *(Settled(each, Became.REFUSED, why) for each, why in kept_off.items()),
        *work(unit, [letter for letter in letters if letter.id not in kept_off]),
    ]


def _letters(ids: Sequence[int], unit: Unit) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    for letter_id in ids:
        try:
            found.append(unit.dead_letters.get(letter_id))
        except NotFoundError:
            continue
    return found


def _unsent(count: int, error: str = "") -> QueueUnavailableError:
    plural = "" if count == 1 else "s"
    return QueueUnavailableError(
        f"{count:,} message{plural} could not be sent yet" + (f": {error}" if error else ""),
        hint="kept in the outbox: `pondctl worker`, or the next requeue, sends them",
    )
