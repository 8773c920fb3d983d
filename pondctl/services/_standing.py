"""Where a bulk change stands: what its rows came to, what it waits for, what a person should run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pondctl.db.bulk_facts import Cancellation, ComingCheck, OpenLetter
from pondctl.db.records import RunRecord
from pondctl.db.row_counts import RowCount
from pondctl.errors import Category
from pondctl.models import BulkChangeSummary, BulkStatus, Carrier, Operation, Outcome
from pondctl.services._origin import Origin
from pondctl.services.failures.reasons import DEFAULT, NEED_NO_REASON, failure_of, in_order, says_nothing
from pondctl.services.lifecycle.rows import operation_of, read_wish

_ENDS: Final = (BulkStatus.PROCESSED, BulkStatus.ERROR)
# A check that is due and that nobody takes for so long needs a worker.
_OVERDUE_SECONDS: Final = 900
_CATEGORIES: Final = frozenset(str(category) for category in Category)
# What an open row with one of these says is not for time to mend.
_NOT_BEGUN: Final = (Category.GUARDED, Category.INVALID_STATE, Category.INVALID_ICCID, Category.WRONG_CARRIER)
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known about one bulk change."""

    summary: BulkChangeSummary
    run: RunRecord | None = None
    check: ComingCheck | None = None
    letter: OpenLetter | None = None
    unresolved: int = 0
    cancellation: Cancellation | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether it was given up, and nobody has taken it up again since."""
        ended = self.summary.bulk_change.status == BulkStatus.ERROR
        return self.cancellation is not None and ended and self.open_rows == 0

    @property
    def open_rows(self) -> int:
        """Rows that need further work."""
        return self.summary.devices - self.summary.settled

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to come: every row has its result, and nobody is about to close the header."""
        return self.open_rows == 0 and (self.is_ended or self.run is None)

    @property
    def is_ended(self) -> bool:
        """Whether the header says so."""
        return self.summary.bulk_change.status in _ENDS


def outcomes_of(counts: Iterable[RowCount], unresolved: int) -> dict[str, int]:
    """The rows by the outcome that they show; `untouched`: nobody has looked at them yet.

    `unresolved`: rows with a carrier write whose answer was lost; their text says only why.
    """
    found = dict.fromkeys([*(str(outcome) for outcome in Outcome), "untouched"], 0)
    for each in counts:
        found[outcome_of(each)] += each.count
    for outcome in (Outcome.DEFERRED, Outcome.SKIPPED, Outcome.PENDING):
        moved = min(unresolved - found[Outcome.UNKNOWN], found[outcome])
        found[outcome] -= moved
        found[Outcome.UNKNOWN] += moved
    return {word: count for word, count in found.items() if count}


def categories_of(counts: Iterable[RowCount]) -> dict[str, int]:
    """Why rows are not simply done, counted."""
    found: dict[str, int] = {}
    for each in counts:
        category = category_of(each)
        if category:
            found[category] = found.get(category, 0) + each.count
    return found


def waits_for(standing: Standing) -> str | None:
    """What has to happen before the bulk change gets further; None where it is over and fine."""
    run, check = standing.run, standing.check
    if run is not None:
        what = "which has died" if run.stale else "which is at work"
        return f"run {run.run_id} ({run.command}, {run.actor} on {run.host}), {what}"
    if standing.is_settled:
        return _left_when_settled(standing)
    if check is not None:
        return f"check number {check.retry_number}, {_due(check)}"
    if standing.letter is not None:
        return f"a person: dead letter {standing.letter.id} ({standing.letter.category})"
    if standing.unresolved:
        return f"the answer to writes on {_devices(standing.unresolved)} that was lost"
    return "nothing: no check is queued"


def next_command(
    standing: Standing, by_hand: Callable[[], str | None], counts: Callable[[], Iterable[RowCount]]
) -> str | None:
    """What to run; None where nothing is to be done by hand. `by_hand`: what works on it directly.

    `counts`: its rows by what they say, which takes a look at all of them.
    """
    bulk_change_id, run, check = standing.summary.bulk_change.id, standing.run, standing.check
    if run is not None:
        return by_hand() if run.stale else None
    if standing.is_settled:
        if not standing.is_ended:
            return f"pondctl reconcile --bulk-change {bulk_change_id} --apply --max-changes 1"
        failed = standing.summary.with_errors and not standing.is_cancelled
        return _retry_command(standing, counts()) if failed else None
    if check is not None:
        return "pondctl worker --once" if _is_overdue(check) else None
    if standing.letter is not None:
        return f"pondctl dead-letter show {standing.letter.id}"
    return by_hand()


def command_by_hand(
    bulk_change_id: int, carrier: Carrier | None, origin: Origin | None, change_request: str | None
) -> str | None:
    """The command that works on its open rows; None where they ask for what no command does.

    `change_request`: of one of the open rows.
    """
    if carrier is not Carrier.POND:
        return f"pondctl sync-bulk {bulk_change_id}"
    operation = origin.operation if origin else operation_of(change_request)
    if operation is None:
        return None
    command = f"pondctl {operation} --bulk-change {bulk_change_id}"
    if operation is Operation.ACTIVATE and read_wish(change_request).package_type_id is None:
        return f"{command} --package-type ID"
    return f"{command} --reason TEXT" if operation is Operation.TERMINATE else command


def span(seconds: float) -> str:
    """A length of time as people say it: `12 min`."""
    size, unit = next(((s, u) for s, u in _UNITS if seconds >= 2 * s or seconds == s), (1, "s"))
    return f"{seconds / size:.0f} {unit}"


def outcome_of(rows: RowCount) -> str:
    """The outcome that rows show; `untouched`: nobody has looked at them yet."""
    category = category_of(rows)
    if rows.is_processed:
        if not rows.has_errors:
            return Outcome.DONE
        return Outcome.SKIPPED if category == Category.INVALID_ICCID else Outcome.FAILED
    if category:
        return Outcome.SKIPPED if category in _NOT_BEGUN else Outcome.DEFERRED
    return Outcome.PENDING if rows.details else "untouched"


def category_of(rows: RowCount) -> str | None:
    """Why they are not simply done, where they say so."""
    word = (rows.details or "").partition(":")[0]
    settled_well = rows.is_processed and not rows.has_errors
    return word if word in _CATEGORIES and not settled_well else None


def _retry_command(standing: Standing, counts: Iterable[RowCount]) -> str:
    """The retry that takes the failures that there are: a plain one where it takes some of them."""
    plain = f"pondctl retry-failed {standing.summary.bulk_change.id}"
    failed = [each for each in counts if each.is_processed and each.has_errors]
    # What a row does not say may be kept with its run.
    if standing.unresolved or any(says_nothing(each.details) for each in failed):
        return plain
    failures = {failure_of(each.details, None) for each in failed}
    if not failures or failures & DEFAULT:
        return plain
    chosen = " ".join(f"--category {word}" for word in in_order(failures))
    reason = " --reason TEXT" if failures - NEED_NO_REASON else ""
    return f"{plain} {chosen}{reason}"


def _left_when_settled(standing: Standing) -> str | None:
    if not standing.is_ended:
        return "its header: all devices are settled, and nobody has closed it"
    errors = 0 if standing.is_cancelled else standing.summary.with_errors
    return f"a person: {_devices(errors)} failed" if errors else None


def _due(check: ComingCheck) -> str:
    if check.in_hand and check.seconds_until_due > 0:
        return "taken by a worker"
    if check.seconds_until_due >= 0:
        return f"due in {span(check.seconds_until_due)}"
    late = f"due since {span(-check.seconds_until_due)}"
    return f"{late}: no worker takes it" if _is_overdue(check) else late


def _is_overdue(check: ComingCheck) -> bool:
    return check.seconds_until_due < -_OVERDUE_SECONDS


def _devices(count: int) -> str:
    return f"{count:,} device{'' if count == 1 else 's'}"
