"""POST devices/actions/list: one device, or a page of the account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.thingspace.bodies import device_identifier, known_fields, object_list, read_object
from pondctl.sandbox.thingspace.devices import (
    GROUP,
    SERVICE_PLAN,
    DeviceStore,
    SimulatedDevice,
    first_after,
    identifier_of,
)
from pondctl.sandbox.thingspace.errors import api_error
from pondctl.sandbox.thingspace.render import created_at, page_body, render_device, render_range
from pondctl.sandbox.wire import Answer, Call, json_answer

_PAGE = 2000
_KEPT_BYTES = 64 * 1024 * 1024
_CUSTOM_FIELD = {"key": "CustomField1", "value": "west"}
_FIELDS = frozenset(
    [
        "deviceId",
        "accountName",
        "filter",
        "currentState",
        "groupName",
        "servicePlan",
        "customFields",
        "earliest",
        "latest",
        "largestDeviceIdSeen",
        "maxNumberOfDevices",
    ]
)
_FILTER_FIELDS = frozenset({"kind", "contains", "startswith", "endswith"})
_FILTERS = _FIELDS - {"deviceId", "accountName", "largestDeviceIdSeen", "maxNumberOfDevices"}


class PageCache:
    """Rendered pages of one version of the fleet, up to 64 MiB.

    Full means full: dropping the oldest would empty it just ahead of a scan that begins again.
    """

    def __init__(self) -> None:
        self._version: object = None
        self._pages: dict[tuple[int, int], Answer] = {}
        self._bytes = 0

    def get(self, key: tuple[int, int], version: object) -> Answer | None:
        """A kept page, if nothing has changed since it was made."""
        if version != self._version:
            self._version, self._bytes = version, 0
            self._pages.clear()
        return self._pages.get(key)

    def put(self, key: tuple[int, int], answer: Answer) -> None:
        """Keep a page of the version that was last asked for."""
        if self._bytes + len(answer.body) <= _KEPT_BYTES:
            self._bytes += len(answer.body)
            self._pages[key] = answer


class Listing:
    """The read side of ThingSpace. `unknown_device` may be switched while it runs."""

    def __init__(self, config: SandboxConfig, store: DeviceStore) -> None:
        self._config = config
        self._store = store
        self._cache = PageCache()
        self.unknown_device = config.unknown_device

    def list_devices(self, call: Call) -> Answer:
        """The list endpoint."""
        body = read_object(call)
        known_fields(body, _FIELDS)
        self.check_account(body.get("accountName"))
        if "deviceId" in body:
            return self._one(body, call.now)
        start, limit = _cursor(body), _limit(body)
        if _FILTERS & body.keys() or "accountName" not in body:
            return self._filtered(body, start, limit, call.now)
        return self._page(start, limit, call.now)

    def get_device(self, call: Call) -> Answer:
        """`GET /devices/{iccid}` as a gateway in front of ThingSpace may offer it."""
        kind, iccid = device_identifier({"kind": "iccid", "id": call.params["iccid"]})
        device = self._store.find(kind, iccid, call.now)
        if device is None:
            raise api_error("REQUEST_FAILED.DeviceNotFound", f"The device {iccid} was not found", 404)
        if self._config.gateway_shape == "record":
            return Answer(200, render_device(device).encode())
        mdn, msisdn = device.numbers
        return json_answer({"state": device.state, "mdn": mdn, "msisdn": msisdn})

    def check_account(self, account: object) -> None:
        """Refuse an account that is not the user's; leading zeros count."""
        if account is not None and account != self._config.account_name:
            raise api_error("REQUEST_FAILED.AccountNotFound", "The account was not found")

    def _one(self, body: Mapping[str, Any], now: float) -> Answer:
        kind, identifier = device_identifier(body["deviceId"])
        device = self._store.find(kind, identifier, now)
        if device is None and self.unknown_device == "error":
            raise api_error("REQUEST_FAILED.DeviceNotFound", f"The device {identifier} was not found")
        if device and body.get("accountName", device.account_name) != device.account_name:
            raise api_error("INPUT_INVALID.Device.Account.Invalid", "The device is not in this account")
        records = [render_device(device)] if device else []
        return Answer(200, page_body(records, more=False))

    def _page(self, start: int, limit: int, now: float) -> Answer:
        version = (self._store.version, now >= self._store.fleet_active_at)
        kept = self._cache.get((start, limit), version)
        if kept is not None:
            return Answer(kept.status, kept.body)
        records, place = render_range(self._store, start, limit, now)
        more = bool(render_range(self._store, place, 1, now)[0])
        answer = self._answer(records, more=more)
        self._cache.put((start, limit), answer)
        return Answer(answer.status, answer.body)

    def _filtered(self, body: Mapping[str, Any], start: int, limit: int, now: float) -> Answer:
        wanted = _Filter(body)
        matching = (device for device in self._store.iter(start, now) if wanted.matches(device))
        devices = list(islice(matching, limit + 1))
        records = [render_device(device) for device in devices[:limit]]
        return self._answer(records, more=len(devices) > limit)

    def _answer(self, records: list[str], *, more: bool) -> Answer:
        return Answer(self._config.more_data_status if more else 200, page_body(records, more=more))


class _Filter:
    """The equality and date filters of one request."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._account = body.get("accountName")
        self._state = body.get("currentState")
        self._nothing = (
            body.get("groupName", GROUP) != GROUP
            or body.get("servicePlan", SERVICE_PLAN) != SERVICE_PLAN
            or any(field != _CUSTOM_FIELD for field in object_list(body, "customFields"))
        )
        self._earliest, self._latest = _moment(body, "earliest"), _moment(body, "latest")
        self._parts = list(_identifier_filters(body))

    def matches(self, device: SimulatedDevice) -> bool:
        """Whether the device belongs to the answer."""
        if self._nothing or self._account not in (None, device.account_name):
            return False
        if self._state is not None and device.state.lower() != str(self._state).lower():
            return False
        return self._in_window(device) and all(_partly(device, part) for part in self._parts)

    def _in_window(self, device: SimulatedDevice) -> bool:
        added = created_at(device.index)
        too_early = self._earliest is not None and added < self._earliest
        return not too_early and (self._latest is None or added <= self._latest)


def _identifier_filters(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    holder = body.get("filter", {})
    if not isinstance(holder, dict):
        raise api_error("DeserializationFailed", "The element filter must be an object")
    filters = object_list(holder, "deviceIdentifierFilters")
    for part in filters:
        known_fields(part, _FILTER_FIELDS)
    return filters


def _partly(device: SimulatedDevice, part: Mapping[str, Any]) -> bool:
    value = identifier_of(device, str(part.get("kind")).lower())
    return (
        value is not None
        and str(part.get("contains", "")) in value
        and value.startswith(str(part.get("startswith", "")))
        and value.endswith(str(part.get("endswith", "")))
    )


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    if name not in body:
        return None
    try:
        moment = datetime.fromisoformat(str(body[name]))
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise api_error("REQUEST_FAILED.UnexpectedError", f"{name} must be ISO 8601 with an offset")
    return moment


def _cursor(body: Mapping[str, Any]) -> int:
    return first_after(_whole(body, "largestDeviceIdSeen", 0, 0))


def _limit(body: Mapping[str, Any]) -> int:
    limit = _whole(body, "maxNumberOfDevices", _PAGE, 1)
    if limit > _PAGE:
        raise api_error("REQUEST_FAILED.UnexpectedError", f"maxNumberOfDevices is above {_PAGE}")
    return limit


def _whole(body: Mapping[str, Any], name: str, default: int, least: int) -> int:
    value = body.get(name, default)
    if type(value) is not int or value < least:
        raise api_error("REQUEST_FAILED.UnexpectedError", f"{name} must be a whole number from {least}")
    return value
