"""One screen about the whole: what is open, what waits, what is stuck."""

from __future__ import annotations

from collections.abc import Mapping

from pondctl.clients.tokens import TokenStore
from pondctl.db.database import Database
from pondctl.db.records import DeadLetterFilter
from pondctl.db.unit import Unit


def show_status(
    database: Database, *, profile: str, queue_name: str, tokens: TokenStore | None
) -> Mapping[str, object]:
    """Read everything the status screen shows. No `tokens`: ThingSpace is not configured."""

    def read(unit: Unit) -> Mapping[str, object]:
        queue = unit.messages.depth(queue_name)
        running = unit.runs.list_recent(state="running")
        return {
            "profile": profile,
            "open_bulk_changes": unit.bulk_changes.count_open(),
            "queue_waiting": queue.waiting,
            "queue_delayed": queue.delayed,
            "queue_in_flight": queue.in_flight,
            "queue_oldest_seconds": queue.oldest_age_seconds,
            "dead_letters": unit.dead_letters.count(DeadLetterFilter(state="open")),
            "dead_letters_oldest_seconds": unit.dead_letters.oldest_age_seconds(),
            "runs": sum(not run.stale for run in running),
            "stale_runs": ", ".join(run.run_id for run in running if run.stale) or None,
        }

    refused = tokens.load().refused if tokens else None
    return {**database.read(read), "refused_logins": refused}
