"""Probes of the database and of the queues. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pondctl.clients.queue import Queue, QueueAttributes
from pondctl.clients.sqs import SqsQueue
from pondctl.config import Settings
from pondctl.db import check as checks
from pondctl.db.database import Database
from pondctl.db.engine import require_file
from pondctl.db.records import Finding
from pondctl.db.server import describe_server
from pondctl.errors import ExitCode
from pondctl.services._standing import span
from pondctl.services.doctoring.carriers import judge_clock
from pondctl.services.doctoring.found import Found, finding, note, ok, warning

_FEW_RECEIVES: Final = 3
# A function may run 900 s, and AWS advises six times as much.
_LAMBDA_SECONDS: Final = 5400
_NO_RIGHT: Final = ("the login lacks", "cannot be written")


def ask_server(database: Database) -> Iterator[Found]:
    """Connection, version, driver, encryption and clock."""
    require_file(database.host_address)
    facts = describe_server(database)
    yield ok(f"{facts.server}, driver {facts.driver}")
    if not database.is_one:
        require_file(database.state_address)
        database.look(lambda unit: unit.now())
        yield ok("the database of pondctl's own tables (database.state_url) answers")
    if facts.ahead_seconds is None:
        return
    yield judge_clock(facts.ahead_seconds, "the database's")
    if facts.encrypted:
        yield ok("the connection is encrypted" + ("" if facts.told_by_server else ", as the URL asks for it"))
    elif facts.encrypted is None:
        yield note("neither the server nor database.url tells whether the connection is encrypted")
    elif facts.nearby:
        yield ok("the connection is not encrypted, and does not leave this machine")
    else:
        yield finding("the connection is not encrypted", "put Encrypt=yes into database.url", ExitCode.USAGE)


def ask_tables(database: Database, role: str) -> Iterator[Found]:
    """Tables, columns, rights, indexes, pending migrations: what `db check` finds."""
    found = checks.check(database)
    for each in found:
        yield _as_found(each, role)
    if not any(each.level == "error" for each in found):
        yield ok("tables, columns and migrations are as they must be")


def _as_found(each: Finding, role: str) -> Found:
    message, remedy = f"{each.subject}: {each.message}", each.remedy or "see `pondctl db check`"
    lacks = any(word in each.message for word in _NO_RIGHT)
    if each.level == "note" or (lacks and role == "viewer"):
        return note(message, each.remedy or None)
    if each.level == "warning":
        return warning(message, remedy)
    return finding(message, remedy, ExitCode.REFUSED if lacks else ExitCode.USAGE)


@dataclass(frozen=True, slots=True)
class QueueProbe:
    """The queues of the settings. No `queue`: the embedded one."""

    settings: Settings
    queue: SqsQueue | None
    dead: SqsQueue | None
    foreign: Queue | None

    def ask(self) -> Iterator[Found]:
        """How they are set up, against what pondctl needs."""
        if self.queue is None:
            yield ok("the embedded queue: it lies in the database")
        else:
            here = self.queue.attributes()
            yield ok(f"{self.queue.name}: {here.depth.waiting:,} waiting, {here.depth.in_flight:,} in flight")
            yield from self._redrive(here)
            yield from self._times(here)
        if self.dead is not None:
            yield from self._dead_letters(self.dead, self.queue)
        if self.foreign is not None:
            self.foreign.depth()
            yield ok(f"{self.foreign.name} is there")

    def _redrive(self, here: QueueAttributes) -> Iterator[Found]:
        url = self.settings.queue.dead_letter_url
        target = (here.dead_letter_arn or "").rpartition(":")[2]
        if not target:
            lost = "the queue has no dead-letter queue: what fails is received again until it expires"
            yield warning(lost, "give it a RedrivePolicy, and set queue.dead_letter_url")
        elif not url:
            unseen = f"messages that die go to {target}, where pondctl does not look"
            yield warning(unseen, "set queue.dead_letter_url to its URL")
        elif target != url.rpartition("/")[2]:
            yield finding(
                f"messages that die go to {target}, and queue.dead_letter_url is another queue",
                "make the two agree",
                ExitCode.USAGE,
            )
        if target and (here.max_receive_count or 0) < _FEW_RECEIVES:
            early = f"maxReceiveCount is {here.max_receive_count}: a restart or two may kill a message"
            yield warning(early, "set maxReceiveCount to 5 or more")

    def _times(self, here: QueueAttributes) -> Iterator[Found]:
        limits, hours = self.settings.limits, self.settings.queue.pending_deadline_hours
        if here.retention_seconds < hours * 3600:
            kept = f"messages are kept for {span(here.retention_seconds)}, devices may pend for {hours:g} h"
            yield warning(kept, "set MessageRetentionPeriod to more than queue.pending_deadline_hours")
        deadline = limits.outage_seconds + limits.call_seconds
        if here.visibility_seconds < deadline:
            early = f"the visibility timeout is {here.visibility_seconds} s, a run may wait {deadline:g} s"
            yield warning(early, "a worker renews it; for Lambda set VisibilityTimeout to 5400")
        elif here.visibility_seconds < _LAMBDA_SECONDS:
            yield note("the visibility timeout is right for workers; Lambda needs 5400 s")

    def _dead_letters(self, dead: SqsQueue, queue: SqsQueue | None) -> Iterator[Found]:
        there = dead.attributes()
        yield ok(f"{dead.name}: {there.depth.waiting:,} waiting")
        if queue is not None and there.retention_seconds <= queue.attributes().retention_seconds:
            yield warning(
                f"{dead.name} keeps a message no longer than {queue.name}, and counts from the first sending",
                "set its MessageRetentionPeriod to 1209600 (14 days)",
            )
