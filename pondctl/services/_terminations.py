"""For which bulk changes a worker may terminate devices: those made for just that, with a reason."""

from __future__ import annotations

from pondctl.db.unit import Unit


def permit_termination(unit: Unit, bulk_change_id: int, reason: str) -> None:
    """Say that this bulk change was made to terminate its devices; in the transaction that makes it."""
    unit.meta.set(_name(bulk_change_id), reason)


def permitted_termination(unit: Unit, bulk_change_id: int) -> str | None:
    """The reason it was made with; None: terminating is not for a worker to begin."""
    return unit.meta.get(_name(bulk_change_id))


def _name(bulk_change_id: int) -> str:
    return f"termination:{bulk_change_id}"
