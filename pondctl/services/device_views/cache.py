"""What the carriers said about a device a moment ago, kept for whoever asks again; and what has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pondctl.db.database import Database
from pondctl.db.observations import Seen
from pondctl.db.unit import Unit
from pondctl.errors import PondctlError
from pondctl.models import Carrier
from pondctl.services.device_views.carriers_now import GOOD, Side
from pondctl.services.drift.pond_seen import pond_state
from pondctl.telemetry.logger import Logger

_NAME = "device_now:"
_KEPT_FOR = timedelta(minutes=5)
_FORGET_SECONDS = 86_400.0
_log = Logger()


@dataclass(frozen=True, slots=True)
class DeviceCache:
    """`site` names the accounts: what another site saw is not shown."""

    database: Database
    site: str

    def find(self, iccid: str) -> dict[Carrier, Side]:
        """The sides that are not too old, each with its `age_seconds`."""

        def read(unit: Unit) -> dict[Carrier, Side]:
            now = unit.now()
            ages = {carrier: now - at for carrier, at, _ in self._kept(unit, iccid)}
            return {
                carrier: {**side, "age_seconds": round(ages[carrier].total_seconds())}
                for carrier, _, side in self._kept(unit, iccid)
                if timedelta(0) <= ages[carrier] <= _KEPT_FOR
            }

        return self.database.read(read)

    def keep(self, iccid: str, asked: Mapping[Carrier, Side]) -> None:
        """Keep what says something about the device. A login that may only read keeps nothing."""
        good = {carrier: side for carrier, side in asked.items() if side["status"] in GOOD}
        if not good:
            return

        def write(unit: Unit) -> None:
            now = unit.now().isoformat()
            kept = {c: {"at": at.isoformat(), "side": side} for c, at, side in self._kept(unit, iccid)}
            kept |= {carrier: {"at": now, "side": side} for carrier, side in good.items()}
            unit.meta.forget(_NAME, _FORGET_SECONDS)
            unit.meta.set(f"{_NAME}{iccid}", json.dumps({"site": self.site, "sides": kept}))
            for carrier, seen in _seen(iccid, good):
                unit.observations.add_changes(carrier, [seen], None)

        try:
            self.database.write(write)
        except PondctlError as error:
            _log.info("what was seen is not kept", error=error.message)

    def _kept(self, unit: Unit, iccid: str) -> list[tuple[Carrier, datetime, dict[str, Any]]]:
        text = unit.meta.get(f"{_NAME}{iccid}")
        document = json.loads(text) if text else {}
        if document.get("site") != self.site:
            return []
        sides = document["sides"].items()
        return [(Carrier(name), datetime.fromisoformat(kept["at"]), kept["side"]) for name, kept in sides]


def _seen(iccid: str, good: Mapping[Carrier, Side]) -> Iterator[tuple[Carrier, Seen]]:
    for carrier, side in good.items():
        if side["status"] != "known":
            continue
        if carrier is Carrier.POND:
            yield carrier, Seen(iccid, pond_state(package["status"] for package in side["packages"]))
        elif side["state"]:
            yield carrier, Seen(iccid, side["state"], side["msisdn"])
