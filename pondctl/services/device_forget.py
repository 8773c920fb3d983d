"""Forget a device: what stood for it in logs and in the audit trail stands for nobody any more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import UsageError
from pondctl.services._visible import require_visible_devices
from pondctl.services.targets.numbers import spelt
from pondctl.telemetry.device_keys import DeviceKeys
from pondctl.telemetry.identifiers import bare

_ROWS = 1000
_UNTOUCHED = (
    "the host's tables: bulk changes, packages, the change log",
    "the carriers",
    "logs on their way or shipped elsewhere: their lines stay, and name nobody now",
    "copies and backups of this database: a key in them still resolves the old pseudonyms",
    "pondctl's own runs, steps and outcomes, which name the device until `pondctl db prune` removes them",
)


def require_reason(reason: str | None) -> None:
    """Nothing is forgotten without one."""
    if not (reason or "").strip():
        raise UsageError("forgetting a device needs a reason", hint='add --reason "why"')


def forget_device(database: Database, iccid: str) -> Mapping[str, object]:
    """Destroy the keys of a device and of its numbers; says what that could not touch.

    Whether the device ever had a pseudonym nobody can know: that is what forgetting means.
    """
    return database.write(partial(_forget, iccid))


def _forget(iccid: str, unit: Unit) -> Mapping[str, object]:
    require_visible_devices(unit, [iccid])
    changes = unit.device_rows.changes(iccid, _ROWS)
    numbers = sorted({str(row["MSISDN"]) for row in changes if row["MSISDN"]})
    names = {bare(iccid), *(bare(each) for number in numbers for each in spelt(number))}
    for name in sorted(names):
        replaced = DeviceKeys(unit.device_keys.all()).without(name)
        unit.device_keys.remove(replaced.removed)
        unit.device_keys.add(replaced.added)
    steps = unit.steps.of_device(iccid, _ROWS)
    return {
        "id": iccid,
        "forgotten": True,
        "known": bool(changes or steps or unit.device_rows.packages(iccid, 1)),
        "numbers_forgotten": len(numbers),
        "own_steps_left": len(steps),
        "not_touched": list(_UNTOUCHED),
    }
