"""What both carriers say about one device now; a side that cannot be asked says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import Package
from pondctl.clients.thingspace import ThingSpaceClient
from pondctl.errors import Category, ConfigurationError, DeviceError, ExitCode, PondctlError
from pondctl.models import Carrier

# These say something about the device; the others only why nothing is known.
GOOD = ("known", "not_known")
Side = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Carriers:
    """The ways to the carriers; each builds its client, or raises where it is not configured."""

    thingspace: Callable[[], ThingSpaceClient]
    pond: Callable[[], PondClient]

    def ask(self, iccid: str, sides: tuple[Carrier, ...]) -> dict[Carrier, Side]:
        """Ask these at the same time; values are ready for JSON."""
        asks = {carrier: self._way(carrier) for carrier in sides}
        with ThreadPoolExecutor(2, thread_name_prefix="now") as pool:
            running = {carrier: pool.submit(_answer, ask, iccid) for carrier, ask in asks.items()}
            return {carrier: future.result() for carrier, future in running.items()}

    def _way(self, carrier: Carrier) -> Callable[[str], Side]:
        """Clients are built in the main thread, and used in others."""
        try:
            if carrier is Carrier.THINGSPACE:
                return partial(_ask_thingspace, self.thingspace())
            return partial(_ask_pond, self.pond())
        except ConfigurationError as error:
            return partial(_not_configured, error.message)


def _answer(ask: Callable[[str], Side], iccid: str) -> Side:
    try:
        return ask(iccid)
    except DeviceError as error:
        return {"status": _WORDS.get(error.category, "unavailable"), "error": error.message}
    except PondctlError as error:
        refused = error.exit_code is ExitCode.REFUSED
        return {"status": "refused" if refused else "unavailable", "error": error.message}


def _ask_thingspace(client: ThingSpaceClient, iccid: str) -> Side:
    device = client.get_device(iccid)
    return {
        "status": "known",
        "state": device.carrier_state,
        "msisdn": device.msisdn,
        "account_name": device.account_name,
        "ip_address": device.ip_address,
        "error": None,
    }


def _ask_pond(client: PondClient, iccid: str) -> Side:
    packages = [_package(package) for package in client.list_packages(iccid)]
    side: Side = {"status": "known", "error": None, "sim_status": None}
    try:
        services = client.get_services(iccid)
    except DeviceError as error:
        side["error"] = f"its services could not be read: {error.message}"
    else:
        side["sim_status"] = services.sim_status
        side |= {"data": services.data, "voice": services.voice, "sms": services.sms}
    return {**side, "packages": packages}


def _not_configured(message: str, _iccid: str) -> Side:
    return {"status": "not_configured", "error": message}


def _package(package: Package) -> Mapping[str, object]:
    return {
        "package_id": package.package_id,
        "package_type_id": _text(package.package_type_id),
        "status": package.carrier_status,
        "created": _time(package.created_at),
        "data_usage_remaining_in_bytes": package.data_usage_remaining_in_bytes,
    }


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.strftime("%Y-%m-%dT%H:%M:%SZ")


_WORDS = {
    Category.NOT_FOUND: "not_known",
    Category.INVALID_ICCID: "not_known",
    Category.AUTHENTICATION: "refused",
}
