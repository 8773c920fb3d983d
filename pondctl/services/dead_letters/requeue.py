"""Queue dead letters again: the message and the letter's new state are one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pondctl.db.dead_letters import OPEN, REQUEUED
from pondctl.db.open_work import KnownBulkChange
from pondctl.db.records import DeadLetter
from pondctl.db.unit import Unit
from pondctl.errors import MessageError
from pondctl.models import EMBEDDED_QUEUE
from pondctl.services.dead_letters.edit import Edit, Successor, successor
from pondctl.services.dead_letters.result import Became, Settled
from pondctl.services.queueing.dispatch import Known, Rules, Way, route

# The third time for the same error it is no longer bad luck.
_LOOP = 3


@dataclass(frozen=True, slots=True)
class Requeue:
    """One batch. `keys` are made before the transaction: when its answer is lost and it is done again,
    the letter is known as ours by them. `rules` are those of the worker at `queue_name`."""

    keys: Mapping[int, str]
    edit: Edit
    queue_name: str
    rules: Rules
    by: str
    reason: str | None
    dry_run: bool
    warnings: list[str] = field(default_factory=list)

    def run(self, unit: Unit, letters: Sequence[DeadLetter]) -> list[Settled]:
        """Queue them; what somebody else has settled meanwhile is left alone."""
        self.warnings.clear()
        ids = {letter.bulk_change_id for letter in letters} | {self.edit.bulk_change_id}
        known = unit.open_work.find({each for each in ids if each is not None})
        return [self._one(unit, letter, known) for letter in letters]

    def _one(self, unit: Unit, letter: DeadLetter, known: Mapping[int, KnownBulkChange]) -> Settled:
        key = self.keys[letter.id]
        if letter.state != OPEN:
            mine = unit.messages.find(key)
            if letter.state == REQUEUED and mine is not None:
                return Settled(letter.id, Became.REQUEUED, key=key, queue=mine.queue)
            return settled_already(letter)
        queue = target_of(letter, self.queue_name)
        try:
            found = successor(letter, self.edit, key=key, queue=queue)
        except MessageError as error:
            detail = f"{error.message}: it would die again"
            return Settled(letter.id, Became.REFUSED, detail)
        about = known.get(found.message.bulk_change_id or 0)
        if about is not None and (why := forbidden_by(self.rules, about)):
            return Settled(letter.id, Became.REFUSED, why)
        self._warn_of_loop(unit, letter)
        self._warn(found, about)
        event = {
            "event": REQUEUED,
            "at": unit.now().isoformat() + "Z",
            "by": self.by,
            "reason": self.reason,
            "key": key,
            "queue": queue,
            "changes": {name: list(values) for name, values in found.changes.items()},
        }
        if not self.dry_run:
            history = (*letter.attempts, event)
            if not unit.dead_letters.mark(
                letter.id, REQUEUED, from_state=OPEN, by=self.by, reason=self.reason, history=history
            ):
                return Settled(letter.id, Became.CONFLICT, "settled by somebody else meanwhile")
            unit.messages.add(found.message)
        return Settled(letter.id, Became.REQUEUED, key=key, queue=queue, changes=found.changes)

    def _warn_of_loop(self, unit: Unit, letter: DeadLetter) -> None:
        if letter.lineage or letter.requeue_count:
            times = unit.dead_letters.requeues_of(letter) + 1
            if times >= _LOOP:
                self.warnings.append(
                    f"dead letter {letter.id} is requeued for the {times}. time for the same error "
                    f"({letter.category}): it will likely come back"
                )

    def _warn(self, found: Successor, known: KnownBulkChange | None) -> None:
        if found.check is None:
            return
        way = route(found.check, Known(known, None, None, None), self.rules, sent_at=None, ours=True)
        if way.way is Way.DEAD:
            self.warnings.append(f"{way.reason}: the message will die again")
        elif way.way is Way.FOREIGN and found.message.queue == self.queue_name:
            self.warnings.append(
                f"the worker of this profile will not take a message about bulk change "
                f"{found.check.bulk_change_id}: {way.reason}"
            )
        if known is not None and known.is_settled:
            bulk_change_id = known.bulk_change.id
            self.warnings.append(
                f"bulk change {bulk_change_id} has ended and has no open rows: a check of it has no effect; "
                f"`pondctl retry-failed {bulk_change_id}` takes its failed rows up again"
            )


def forbidden_by(rules: Rules, known: KnownBulkChange) -> str | None:
    """Why this profile keeps its hands off a bulk change."""
    provider = known.bulk_change.service_provider_id
    if not rules.allowed or provider in rules.allowed:
        return None
    return f"service provider {provider} is not among access.service_provider_ids"


def target_of(letter: DeadLetter, queue_name: str) -> str:
    """Where the letter came from; the queue of the settings where that was the embedded one."""
    return queue_name if letter.source_queue == EMBEDDED_QUEUE else letter.source_queue


def settled_already(letter: DeadLetter) -> Settled:
    """Somebody was there before."""
    by = f" by {letter.changed_by}" if letter.changed_by else ""
    when = f"{letter.changed_at:%Y-%m-%d %H:%M} UTC"
    return Settled(letter.id, Became.CONFLICT, f"is {letter.state} already{by} since {when}")
