"""Finds bulk changes that nobody will look at again: no check, no run, not ended; and queues their check."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pondctl.clients.message import next_check
from pondctl.db.database import Database
from pondctl.db.records import NewMessage
from pondctl.db.unit import Unit
from pondctl.models import BulkChange, Carrier
from pondctl.services.queueing.dispatch import Rules
from pondctl.telemetry.logger import Logger

EVERY_SECONDS: Final = 300
# Older ones are history: whoever wants them looked at says so (`sync-bulk`, `retry-failed`).
OLDEST_SECONDS: Final = 30 * 86_400
# A check that led nowhere (devices that a person has to decide about) is not repeated sooner.
AGAIN_SECONDS: Final = 3600
MOST: Final = 100
_PAGE: Final = 500
_PREFIX: Final = "forgotten:"
_TURN: Final = "forgotten_looked_at"
_log = Logger()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The scheduler: of all workers, one looks every few minutes. `quiet_seconds`: see `page_forgotten`."""

    database: Database
    rules: Rules
    queue_name: str
    quiet_seconds: float
    rng: random.Random = field(default_factory=random.SystemRandom)

    def queue_checks(self) -> int:
        """Queue one check for each, at most `MOST`; returns how many were queued."""
        if not self.database.read(self._is_due):
            return 0
        queued = self.database.write(self._queue)
        if queued:
            _log.info("forgotten bulk changes found", count=len(queued), bulk_change_ids=queued[:20])
        return len(queued)

    def find_stuck(self, unit: Unit, seconds: float) -> list[int]:
        """Bulk changes of either carrier that were begun, and have had no check and no run for so long."""
        found: list[int] = []
        after_id = 0
        while len(found) < MOST:
            page = unit.open_work.page_forgotten(
                after_id, _PAGE, oldest_seconds=OLDEST_SECONDS, quiet_seconds=seconds
            )
            if not page:
                break
            after_id = page[-1].id
            since = unit.now() - timedelta(seconds=seconds)
            ids = [
                each.id
                for each in page
                if self.rules.carrier_of(each.service_provider_id)
                # What is younger has had nothing for a shorter time, whoever made it.
                and not (each.created_date and each.created_date > since)
            ]
            ends = unit.vitals.last_ends([f"bulk_change:{each}" for each in ids])
            quiet = [each for each in ids if ends.get(f"bulk_change:{each}", seconds) >= seconds]
            waited_for = self._waited_for(unit, quiet)
            found += [each for each in quiet if each not in waited_for]
        return found[:MOST]

    def _is_due(self, unit: Unit) -> bool:
        last = unit.meta.get(_TURN)
        return last is None or unit.now() - datetime.fromisoformat(last) >= timedelta(seconds=EVERY_SECONDS)

    def _queue(self, unit: Unit) -> list[int]:
        if not self._is_due(unit):
            return []
        now = unit.now()
        unit.meta.set(_TURN, now.isoformat())
        found = self._find(unit)
        for bulk_change in found:
            # Two workers at the same moment make the same key: it is put in once.
            key = f"{_PREFIX}{bulk_change.id}:{now:%Y%m%d%H%M}"[:64]
            check = next_check(None, bulk_change.id, key=key, retry_number=0, pending_since=now)
            delay = self.rng.uniform(0, len(found) / 10)
            unit.messages.add(
                NewMessage(
                    key=key,
                    queue=self.queue_name,
                    attributes=check.attributes,
                    body=check.body,
                    bulk_change_id=bulk_change.id,
                    delay_seconds=round(delay),
                )
            )
        return [bulk_change.id for bulk_change in found]

    def _find(self, unit: Unit) -> list[BulkChange]:
        found: list[BulkChange] = []
        after_id = 0
        while len(found) < MOST:
            page = unit.open_work.page_forgotten(
                after_id, _PAGE, oldest_seconds=OLDEST_SECONDS, quiet_seconds=self.quiet_seconds
            )
            if not page:
                break
            after_id = page[-1].id
            found += self._without_check(unit, [each for each in page if self._is_ours(each)])
        return found[:MOST]

    def _is_ours(self, bulk_change: BulkChange) -> bool:
        # Only what reads may begin by itself: a life cycle at POND is begun by a message or a person.
        return self.rules.carrier_of(bulk_change.service_provider_id) is Carrier.THINGSPACE

    def _without_check(self, unit: Unit, page: Sequence[BulkChange]) -> list[BulkChange]:
        ids = [bulk_change.id for bulk_change in page]
        if not ids:
            return []
        waited_for = self._waited_for(unit, ids) | unit.deliveries.made_since(_PREFIX, AGAIN_SECONDS, ids)
        return [bulk_change for bulk_change in page if bulk_change.id not in waited_for]

    def _waited_for(self, unit: Unit, ids: Sequence[int]) -> set[int]:
        """Those that a check or a live run will look at."""
        if not ids:
            return set()
        leased = unit.deliveries.leased([f"bulk_change:{each}" for each in ids])
        held = {each for each in ids if f"bulk_change:{each}" in leased}
        return held | set(unit.deliveries.coming(self.queue_name, ids))
