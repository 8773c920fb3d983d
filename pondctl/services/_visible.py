"""What a profile may see that is bound to service providers, of the things that no host table holds."""

from __future__ import annotations

from collections.abc import Sequence

from pondctl.db.records import DeadLetterFilter, DeadLetterHead, RunRecord
from pondctl.db.unit import Unit
from pondctl.errors import NotFoundError

_TARGET = "bulk_change:"
_PAGE = 1000


def visible_runs(unit: Unit, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Those of the runs that worked on something that may be seen, or on nothing at all."""
    if not unit.host_tables.service_provider_ids:
        return list(runs)
    bulk_changes = {run.run_id: _bulk_change_of(run) for run in runs}
    hidden = unit.bulk_changes.hidden({each for each in bulk_changes.values() if each is not None})
    providers = unit.steps.providers_of([run.run_id for run in runs])

    def is_foreign(run: RunRecord) -> bool:
        known = providers.get(run.run_id, set())
        return bulk_changes[run.run_id] in hidden or (bool(known) and all(map(unit.host_tables.hides, known)))

    return [run for run in runs if not is_foreign(run)]


def visible_run(unit: Unit, run_id: str) -> RunRecord:
    """The run; raises `NotFoundError` as if a foreign one did not exist."""
    run = unit.runs.get(run_id)
    if not visible_runs(unit, [run]):
        raise NotFoundError(f"run {run_id} does not exist", hint="`pondctl runs list`")
    return run


def visible_letters(unit: Unit, letters: Sequence[DeadLetterHead]) -> list[DeadLetterHead]:
    """Those of the dead letters that are about a bulk change that may be seen, or about none."""
    ids = {letter.bulk_change_id for letter in letters if letter.bulk_change_id is not None}
    hidden = unit.bulk_changes.hidden(ids)
    return [letter for letter in letters if letter.bulk_change_id not in hidden]


def count_open_letters(unit: Unit) -> tuple[int, float | None]:
    """How many open dead letters may be seen, and the age of the oldest."""
    if not unit.host_tables.service_provider_ids:
        count = unit.dead_letters.count(DeadLetterFilter(state="open"))
        return count, unit.dead_letters.oldest_age_seconds()
    count, last, oldest = 0, 0, None
    while page := unit.dead_letters.page_heads(DeadLetterFilter(state="open"), after_id=last, limit=_PAGE):
        last = page[-1].id
        seen = [letter.created_at for letter in visible_letters(unit, page)]
        count += len(seen)
        oldest = min(seen if oldest is None else [oldest, *seen], default=None)
    return count, (unit.now() - oldest).total_seconds() if oldest is not None else None


def require_visible_devices(unit: Unit, iccids: Sequence[str]) -> None:
    """Raise `NotFoundError` where a device is only another service provider's."""
    hidden = sorted(unit.device_rows.hidden(iccids))
    if hidden:
        raise NotFoundError(
            f"device {hidden[0]} is not known to this profile",
            hint="access.service_provider_ids says whose devices it may see",
        )


def _bulk_change_of(run: RunRecord) -> int | None:
    target = run.target or ""
    return int(target.removeprefix(_TARGET)) if target.startswith(_TARGET) else None
