"""What the commands about bulk changes work with, wired from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pondctl.context import AppContext

if TYPE_CHECKING:
    from pondctl.services.bulk import BulkSite
    from pondctl.services.bulk_cancel import BulkCancel
    from pondctl.services.bulk_create import BulkCreate


def site(app: AppContext) -> BulkSite:
    """To look."""
    from pondctl.services.bulk import BulkSite

    return BulkSite(app.database, app.queueing.rules)


def creating(app: AppContext, reason: str | None) -> BulkCreate:
    """To make one."""
    from pondctl.services.bulk_create import BulkCreate

    return BulkCreate(
        database=app.database,
        actor=app.actor(reason),
        rules=app.queueing.rules,
        queue_name=app.queue_name,
        max_terminations=app.settings.limits.max_terminations_per_run,
        stop=app.stop,
        outbox=app.queueing.outbox,
    )


def cancelling(app: AppContext, reason: str | None, wait_seconds: float) -> BulkCancel:
    """To give one up."""
    from pondctl.services.bulk_cancel import BulkCancel

    return BulkCancel(
        database=app.database,
        actor=app.actor(reason),
        allowed=app.queueing.rules.allowed,
        wait_seconds=wait_seconds,
        stop=app.stop,
    )
