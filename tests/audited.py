"""An actor whose deeds are on record, for tests that build a service themselves."""

from __future__ import annotations

from pondctl.db.database import Database
from pondctl.services.auditing.trail import Trail
from pondctl.services.running.actor import Actor
from pondctl.telemetry.audit_head import HeadFile


def somebody(database: Database) -> Actor:
    """Somebody on the profile `test`."""
    return Actor("test", Trail(database, "test", lambda: b"k" * 32, HeadFile(database.state_address.shown)))
