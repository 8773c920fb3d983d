"""One device in all three places: the database, ThingSpace now, POND now, and its past."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import NotFoundError, UsageError
from pondctl.models import Carrier, Stop, normalize_iccid
from pondctl.services._visible import require_visible_devices
from pondctl.services.device_views.cache import DeviceCache
from pondctl.services.device_views.carriers_now import Carriers, Side
from pondctl.services.device_views.facts import database_facts, differences
from pondctl.services.device_views.timeline import Past, timeline
from pondctl.services.queueing.dispatch import Rules
from pondctl.services.running.actor import raise_if_stopped
from pondctl.services.targets.numbers import spelt
from pondctl.telemetry.identifiers import pseudonym

_PUNCTUATION = re.compile(r"[ \t.()/-]")
_NUMBER = re.compile(r"\+?[0-9]{7,15}")
_OTHERS = 10


@dataclass(frozen=True, slots=True)
class DeviceShow:
    """Everything `device show` works with."""

    database: Database
    carriers: Carriers
    cache: DeviceCache
    rules: Rules
    stop: Stop

    def show(self, device: str, *, fresh: bool, limit: int) -> Mapping[str, object]:
        """All about a device; raises `UsageError` or `NotFoundError` for what names none.

        `fresh`: ask the carriers although they were asked a moment ago. `limit`: of each kind of event.
        """
        iccid, others = self._find(device)
        self.database.read(lambda unit: require_visible_devices(unit, [iccid]))
        now = self._now(iccid, fresh)
        raise_if_stopped(self.stop, "nothing was changed")
        past = self.database.read(lambda unit: _read_past(unit, iccid, limit))
        host_row = self.database.read(lambda unit: unit.device_rows.device(iccid))
        thingspace, pond = now[Carrier.THINGSPACE], now[Carrier.POND]
        msisdn = thingspace.get("msisdn") or next((r["MSISDN"] for r in past.changes if r["MSISDN"]), None)
        return {
            "id": iccid,
            "iccid": iccid,
            "msisdn": msisdn,
            "pseudonym": pseudonym(iccid),
            "other_devices": others,
            "differences": differences(past, thingspace, pond, self._is_thingspaces),
            "thingspace": thingspace,
            "pond": pond,
            "database": database_facts(past, host_row),
            "timeline": timeline(past),
        }

    def _is_thingspaces(self, service_provider_id: int) -> bool:
        everybody = replace(self.rules, allowed=frozenset())
        return everybody.carrier_of(service_provider_id) is Carrier.THINGSPACE

    def _find(self, device: str) -> tuple[str, list[str]]:
        """The ICCID, and with a number the other devices that had it."""
        iccid = normalize_iccid(device)
        if iccid is not None:
            return iccid, []
        digits = _PUNCTUATION.sub("", device.strip())
        if not _NUMBER.fullmatch(digits):
            raise UsageError(
                f"{device[:40]!r} is neither an ICCID nor a phone number",
                hint="an ICCID is 89 and 16 to 20 more digits",
            )
        numbers = spelt(digits)
        raw = self.database.read(lambda unit: unit.device_rows.iccids_of(numbers, _OTHERS))
        found = list(dict.fromkeys(filter(None, map(normalize_iccid, raw))))
        if not found:
            raise NotFoundError(
                f"no device with the number {digits} is in the database", hint="try its ICCID"
            )
        return found[0], found[1:]

    def _now(self, iccid: str, fresh: bool) -> dict[Carrier, Side]:
        sides = {} if fresh else self.cache.find(iccid)
        missing = tuple(carrier for carrier in Carrier if carrier not in sides)
        if missing:
            asked = self.carriers.ask(iccid, missing)
            self.cache.keep(iccid, asked)
            sides |= {carrier: {**side, "age_seconds": 0} for carrier, side in asked.items()}
        return sides


def _read_past(unit: Unit, iccid: str, limit: int) -> Past:
    changes, history = unit.device_rows.changes(iccid, limit), unit.device_history
    ids = sorted({int(row["BulkChangeId"]) for row in changes})
    return Past(
        changes=changes,
        log=unit.device_rows.log(changes, limit),
        steps=unit.steps.of_device(iccid, limit),
        messages=history.messages(ids, limit),
        dead_letters=history.dead_letters(ids, limit),
        runs=history.runs(ids, limit),
        outcomes=history.outcomes(iccid, limit),
        observations=unit.observations.of_device(iccid, limit),
        lock=unit.locks.find([iccid]).get(iccid),
        packages=unit.device_rows.packages(iccid, limit),
    )
