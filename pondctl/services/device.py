"""Mark devices that must never be terminated, and take the mark off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pondctl.db.database import Database
from pondctl.db.step_records import DeviceLock, StepKind
from pondctl.db.unit import Unit
from pondctl.services._visible import require_visible_devices
from pondctl.services.running.user import user_name

_NO_REASON: Final = "no reason given"


def lock_devices(database: Database, iccids: Sequence[str], reason: str | None) -> list[Mapping[str, object]]:
    """Lock each device; one that is locked already keeps its older reason."""
    words = (reason or "").strip() or _NO_REASON
    who = user_name()

    def write(unit: Unit) -> list[Mapping[str, object]]:
        require_visible_devices(unit, iccids)
        added = {iccid: unit.locks.add(iccid, words, who) for iccid in dict.fromkeys(iccids)}
        locks = unit.locks.find(added)
        return [_line(locks[iccid], changed=new) for iccid, new in added.items()]

    return database.write(write)


def under_way(database: Database, iccids: Sequence[str]) -> list[str]:
    """What was sent before the lock, and may end a package all the same; in sentences."""
    writes = database.read(lambda unit: unit.steps.unresolved(dict.fromkeys(iccids)))
    return [
        f"{write.iccid}: run {write.key.run_id} has asked to end a package before the lock, "
        f"and its answer is not here yet: look at `pondctl device show {write.iccid}`"
        for write in writes
        if write.kind is StepKind.TERMINATE_PACKAGE
    ]


def unlock_devices(
    database: Database, iccids: Sequence[str], _reason: str | None
) -> list[Mapping[str, object]]:
    """Take the locks off; a device that had none is no error."""

    def write(unit: Unit) -> list[Mapping[str, object]]:
        require_visible_devices(unit, iccids)
        distinct = list(dict.fromkeys(iccids))
        locks = unit.locks.find(distinct)
        return [
            {"id": iccid, "changed": unit.locks.remove(iccid), **_about(locks.get(iccid))}
            for iccid in distinct
        ]

    return database.write(write)


def _line(lock: DeviceLock, *, changed: bool) -> Mapping[str, object]:
    return {"id": lock.iccid, "changed": changed, **_about(lock)}


def _about(lock: DeviceLock | None) -> Mapping[str, object]:
    if lock is None:
        return {"locked_by": None, "locked_at": None, "reason": None}
    return {"locked_by": lock.locked_by, "locked_at": lock.locked_at, "reason": lock.reason}
