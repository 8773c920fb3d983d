"""Whether a bulk change is looked at again, when, and when enough is enough."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pondctl.clients.message import CheckMessage
from pondctl.models import Outcome
from pondctl.services.queueing.deliveries import Delivery


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """The two budgets: waiting ends by age, trouble ends by count (settings `queue.*`)."""

    pending_deadline_hours: float = 24
    pending_check_seconds: int = 900
    max_retries: int = 5
    retry_base_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Cause:
    """The check that made this run: its number, since when devices are waited for, and how many
    checks in a row had trouble without progress. A run by hand has none and never exhausts.
    The `delivery` is worked off in the transaction that ends the run."""

    message: CheckMessage
    pending_since: datetime
    delivery: Delivery | None = None

    @property
    def retry_number(self) -> int:
        """The number of this check."""
        return self.message.retry_number

    @property
    def stalled(self) -> int:
        """Checks in a row, before this one, that had trouble and no progress."""
        return self.message.envelope.stalled


def cause_of(message: CheckMessage, first_seen: datetime, delivery: Delivery | None = None) -> Cause:
    """The cause that a received message is. `first_seen` (database time) dates one that has no envelope,
    or one that says that waiting begins later: then it would never end."""
    return Cause(message, min(message.envelope.pending_since or first_seen, first_seen), delivery)


@dataclass(frozen=True, slots=True)
class NextCheck:
    """The check to queue."""

    retry_number: int
    delay_seconds: int
    pending_since: datetime
    stalled: int


def pending_is_over(cause: Cause | None, policy: CheckPolicy, now: datetime) -> bool:
    """Whether devices have been waited for longer than the deadline. `now` is database time."""
    if cause is None:
        return False
    return now - cause.pending_since >= timedelta(hours=policy.pending_deadline_hours)


def is_last_try(cause: Cause | None, policy: CheckPolicy) -> bool:
    """Whether trouble without any progress in this run uses up the retries."""
    return cause is not None and cause.stalled + 1 >= policy.max_retries


def made_progress(counts: Mapping[Outcome, int]) -> bool:
    """Whether at least one device was brought to its end."""
    ends = (Outcome.DONE, Outcome.UNCHANGED, Outcome.FAILED, Outcome.SKIPPED)
    return any(counts.get(outcome) for outcome in ends)


def decide_next(
    counts: Mapping[Outcome, int],
    cause: Cause | None,
    policy: CheckPolicy,
    now: datetime,
    rng: random.Random,
) -> NextCheck | None:
    """The check after a run that went to its end; None when nothing waits."""
    pending, deferred = counts.get(Outcome.PENDING, 0), counts.get(Outcome.DEFERRED, 0)
    if not pending and not deferred:
        return None
    stalled = 0
    if deferred and not made_progress(counts):
        stalled = (cause.stalled if cause else 0) + 1
    delays = []
    if pending:
        delays.append(policy.pending_check_seconds)
    if deferred:
        ceiling = min(policy.retry_base_seconds * 2 ** min(stalled, 20), 900)
        delays.append(round(rng.uniform(0, ceiling)))
    return NextCheck(
        retry_number=(cause.retry_number if cause else 0) + 1,
        delay_seconds=min(delays),
        pending_since=cause.pending_since if cause else now,
        stalled=stalled,
    )


def same_again(cause: Cause | None, policy: CheckPolicy, now: datetime, rng: random.Random) -> NextCheck:
    """The check after a run that ended early: the same number, a little later."""
    return NextCheck(
        retry_number=cause.retry_number if cause else 0,
        delay_seconds=round(rng.uniform(policy.retry_base_seconds / 2, policy.retry_base_seconds)),
        pending_since=cause.pending_since if cause else now,
        stalled=cause.stalled if cause else 0,
    )
