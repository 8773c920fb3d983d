"""POND's endpoints in both shapes. Adding a package is not idempotent: every call adds one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.pond.errors import refused
from pondctl.sandbox.pond.sims import (
    DISABLED,
    ENABLED,
    MOVES,
    SIM_TERMINATED,
    STATUSES,
    Package,
    Sim,
)
from pondctl.sandbox.pond.world import Pond
from pondctl.sandbox.wire import JSON, Answer, Call, json_answer

_SERVICES = {"simDataServiceStatus": "data", "simVoiceServiceStatus": "voice", "simSmsServiceStatus": "sms"}
_COUNT = 10
_GIBIBYTE = 1 << 30
_SORTS: dict[str, Callable[[Package], Any]] = {
    "packageId": lambda package: package.package_id,
    "dateCreated": lambda package: package.created,
}


class PondApi:
    """One method per operation; the two shapes differ in path and verb only."""

    def __init__(self, config: SandboxConfig, world: Pond) -> None:
        self._config = config
        self._world = world

    def check(self, call: Call) -> None:
        """Key, basic authorisation where one is configured, distributor, form of the ICCID."""
        config = self._config
        if call.headers.get(config.api_key_header.lower()) != config.api_key:
            raise refused(401, "The API key is missing or not valid")
        basic = f"{config.pond_username}:{config.pond_password}"
        if config.pond_username and call.basic_credentials() != basic:
            raise refused(401, "Authorization is missing or not valid")
        if call.params["distributor"] != str(config.distributor_id):
            raise refused(403, "No permission for this distributor")
        iccid = call.params.get("iccid")
        if iccid is not None and not self._well_formed(iccid):
            raise refused(400, "The ICCID must consist of digits and have an accepted length")

    def list_packages(self, call: Call) -> Answer:
        """A page of the SIM's packages; ten, and by id, unless asked otherwise."""
        sim = self._sim(call)
        statuses = call.query.get("packageStatuses", [])
        key, order = _last(call, "sortField", "packageId"), _last(call, "sortOrder", "ASC")
        if not set(statuses) <= set(STATUSES) or key not in _SORTS or order not in ("ASC", "DESC"):
            raise refused(400, "A filter or sort parameter is not valid")
        offset, count = _whole(call, "offset", 0), _whole(call, "count", _COUNT)
        matching = [package for package in sim.packages if not statuses or package.status in statuses]
        matching.sort(key=_SORTS[key], reverse=order == "DESC")
        elements = [self._package(package) for package in matching[offset : offset + count]]
        return json_answer({"total": len(matching), "offset": offset, "count": count, "elements": elements})

    def get_package(self, call: Call) -> Answer:
        """One package."""
        return json_answer(self._package(self._found(call)[1]))

    def add_package(self, call: Call) -> Answer:
        """One more package, NOT_ACTIVE."""
        sim = self._sim(call)
        body = _object(call, {"packageTypeId"})
        type_id = body.get("packageTypeId")
        if type(type_id) is not int:
            raise refused(400, "invalid request body")
        if type_id not in self._world.package_types:
            raise refused(400, f"The package type {type_id} does not exist")
        if sim.state == SIM_TERMINATED:
            raise refused(400, "The SIM is terminated")
        return json_answer(self._package(self._world.store.new_package(sim, type_id, call.now)))

    def set_package_status(self, call: Call) -> Answer:
        """Forward only; the status that the package has already is fine."""
        sim, package = self._found(call)
        status = _object(call, {"packageStatus"}).get("packageStatus")
        if status not in STATUSES:
            raise refused(400, "invalid request body")
        if status != package.status:
            if status not in MOVES[package.status]:
                raise refused(400, f"A package cannot go from {package.status} to {status}")
            package.move(status, call.now)
            self._world.store.keep(sim)
        return Answer(204)

    def get_device(self, call: Call) -> Answer:
        """Identity and status in one object."""
        sim = self._sim(call)
        return json_answer({**_identity(sim), **_status(sim)})

    def get_sim(self, call: Call) -> Answer:
        """Identity only."""
        return json_answer(_identity(self._sim(call)))

    def get_sim_status(self, call: Call) -> Answer:
        """Status only."""
        return json_answer(_status(self._sim(call)))

    def set_sim_status(self, call: Call) -> Answer:
        """Switch services; one that is not named stays as it is."""
        sim = self._sim(call)
        body = _object(call, set(_SERVICES))
        if not body or any(value not in (ENABLED, DISABLED) for value in body.values()):
            raise refused(400, "invalid request body")
        if sim.state == SIM_TERMINATED:
            raise refused(400, "The SIM is terminated")
        for name, value in body.items():
            setattr(sim, _SERVICES[name], value)
        self._world.store.keep(sim)
        return Answer(204)

    def _well_formed(self, iccid: str) -> bool:
        shortest, longest = self._config.iccid_lengths
        return iccid.isascii() and iccid.isdigit() and shortest <= len(iccid) <= longest

    def _sim(self, call: Call) -> Sim:
        sim = self._world.store.find(call.params["iccid"])
        if sim is None:
            raise refused(self._world.unknown_sim_status, "The SIM does not exist")
        return sim

    def _found(self, call: Call) -> tuple[Sim, Package]:
        sim = self._sim(call) if "iccid" in call.params else None
        found = self._world.store.find_package(call.params["package_id"])
        if found is None or (sim is not None and found[0].iccid != sim.iccid):
            raise refused(404, "The package does not exist")
        return found

    def _package(self, package: Package) -> dict[str, Any]:
        body = {
            "packageId": package.package_id,
            "simIccid": package.iccid,
            "status": package.status,
            "packageTypeId": package.package_type_id,
            "dateCreated": self._epoch(package.created),
            "dateActivated": self._epoch(package.activated),
            "dateExpiry": self._epoch(package.expires),
            "dateTerminated": self._epoch(package.terminated),
            "dataUsageRemainingInBytes": _GIBIBYTE,
            "voiceUsageRemainingInSeconds": 0,
            "smsUsageRemainingInNums": 0,
        }
        return {name: value for name, value in body.items() if value is not None}

    def _epoch(self, seconds: float | None) -> int | None:
        if seconds is None:
            return None
        return int(seconds * 1000) if self._config.epoch_milliseconds else int(seconds)


def _identity(sim: Sim) -> dict[str, Any]:
    subscriber = int(sim.iccid[-9:])
    return {
        "iccid": sim.iccid,
        "parentGroupId": 77,
        "inventoryId": 7,
        "epochCreated": 1_700_000_000,
        "epochModified": 1_700_000_000,
        "imsis": [{"imsiId": subscriber, "imsiNumber": 234_500_000_000_000 + subscriber}],
        "mappedImsi": subscriber,
        "whitelistId": 1,
    }


def _status(sim: Sim) -> dict[str, str]:
    services = {name: getattr(sim, attribute) for name, attribute in _SERVICES.items()}
    old = "ACTIVE" if ENABLED in services.values() else "SUSPENDED"
    return {**services, "statusOfSim": sim.state, "status": old}


def _object(call: Call, known: set[str]) -> dict[str, Any]:
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        body = None
    if call.content_type != JSON or not isinstance(body, dict) or not body.keys() <= known:
        raise refused(400, "invalid request body")
    return body


def _last(call: Call, name: str, default: str) -> str:
    return call.query.get(name, [default])[-1]


def _whole(call: Call, name: str, default: int) -> int:
    text = _last(call, name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise refused(400, f"{name} must be a whole number")
    return int(text)
