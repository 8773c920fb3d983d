"""Put the next check of a bulk change into the outbox, in the transaction of what causes it."""

from __future__ import annotations

import uuid
from datetime import timedelta

from pondctl.clients.message import next_check
from pondctl.db.records import NewMessage
from pondctl.db.unit import Unit
from pondctl.models import Retry
from pondctl.services.syncing.next_check import Cause, NextCheck


def queue_check(
    unit: Unit, queue_name: str, bulk_change_id: int, check: NextCheck, cause: Cause | None
) -> Retry:
    """Queue `check`, but where another one than its cause waits: then that one is returned, so that two
    chains of checks for one bulk change become one."""
    own_key = cause.delivery.key if cause and cause.delivery else None
    waiting = [each for each in unit.messages.waiting_for(bulk_change_id) if each.key != own_key]
    if waiting:
        first = min(waiting, key=lambda message: message.seconds_until_due)
        return Retry(first.retry_number, max(0, round(first.seconds_until_due)))
    key = str(uuid.uuid4())
    message = next_check(
        cause.message if cause else None,
        bulk_change_id,
        key=key,
        retry_number=check.retry_number,
        pending_since=check.pending_since,
        stalled=check.stalled,
        not_before=unit.now() + timedelta(seconds=check.delay_seconds),
    )
    unit.messages.add(
        NewMessage(
            key=key,
            queue=queue_name,
            attributes=message.attributes,
            body=message.body,
            bulk_change_id=bulk_change_id,
            retry_number=check.retry_number,
            delay_seconds=check.delay_seconds,
            lineage=cause.message.envelope.key if cause else None,
        )
    )
    return Retry(check.retry_number, check.delay_seconds)
