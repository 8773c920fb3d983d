"""Activate, suspend, restore, deactivate: accepted at once, done later; and how to see what came of it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pondctl.sandbox.clock import Clock
from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.fleet import PENDING
from pondctl.sandbox.thingspace.bodies import (
    device_identifier,
    device_list,
    known_fields,
    read_object,
    text_field,
)
from pondctl.sandbox.thingspace.devices import DeviceStore, Event, SimulatedDevice
from pondctl.sandbox.thingspace.errors import api_error
from pondctl.sandbox.wire import Answer, Call, json_answer

_MOST_DEVICES = 10_000
# An active one is accepted, too: that it was active already comes out afterwards, as a failed request.
_ACTIVATED_FROM = frozenset({"deactive", "pre-active", "preactive", "active"})
_ACTIVATE_FIELDS = frozenset(
    [
        "accountName",
        "carrierIpPoolName",
        "carrierName",
        "costCenterCode",
        "customFields",
        "devices",
        "groupName",
        "leadId",
        "mdnZipCode",
        "primaryPlaceOfUse",
        "publicIpRestriction",
        "servicePlan",
        "skuNumber",
    ]
)


@dataclass(frozen=True, slots=True)
class Action:
    """A provisioning action on a device that is there: from which state, over which, to which."""

    name: str
    valid_from: str
    meanwhile: str
    result: str
    event: str
    fields: frozenset[str]


_COMMON = frozenset({"accountName", "devices", "groupName", "servicePlan", "customFields"})
SUSPEND = Action("suspend", "active", "active", "suspend", "Suspension", _COMMON | {"withBilling"})
RESTORE = Action("restore", "suspend", "suspend", "active", "Restoration", _COMMON)
DEACTIVATE = Action(
    "deactivate",
    "active",
    "pending deactivation",
    "deactive",
    "Deactivation",
    _COMMON | {"reasonCode", "etfWaiver", "deleteAfterDeactivation"},
)


@dataclass(slots=True)
class Request:
    """A request that was accepted. The status can be asked for only where it is about one device."""

    devices: int
    status: str = "Pending"


@dataclass(frozen=True, slots=True)
class _End:
    """What an action comes to: the device's state, the line of its history, the request it belongs to."""

    state: str
    event: str
    request: Request


class Provisioning:
    """The write side of ThingSpace."""

    def __init__(self, config: SandboxConfig, store: DeviceStore, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._random = random.Random(f"requests {config.seed}")
        self._requests: dict[str, Request] = {}

    def activate(self, call: Call) -> Answer:
        """Devices that are not in the account are added; for one that is active the request fails later."""
        body = read_object(call)
        known_fields(body, _ACTIVATE_FIELDS)
        self._check_account(body)
        text_field(body, "servicePlan")
        text_field(body, "mdnZipCode")
        wanted = device_list(body, _MOST_DEVICES)
        for ids in wanted:
            if "iccid" not in ids or ("imei" not in ids and "skuNumber" not in body):
                raise api_error("DeserializationFailed", "A device must have imei and iccid")
            self._check_activation(ids["iccid"], call.now)
        devices = [self._to_activate(ids["iccid"], call.now) for ids in wanted]
        request_id, request = self._accept(len(devices))
        for device in devices:
            self._start_activation(device, request, call)
        return json_answer({"requestId": request_id})

    def act(self, action: Action, call: Call) -> Answer:
        """Suspend, restore or deactivate. All devices are checked before the first is changed."""
        body = read_object(call)
        known_fields(body, action.fields)
        self._check_account(body)
        if action is DEACTIVATE:
            _check_deactivation(body)
        devices = [self._present(ids, call.now) for ids in device_list(body, _MOST_DEVICES)]
        for device in devices:
            if device.busy or device.state != action.valid_from:
                raise api_error("INPUT_INVALID.DeviceState.Invalid", f"{device.iccid} is {device.state}")
        request_id, request = self._accept(len(devices))
        delete = bool(body.get("deleteAfterDeactivation"))
        for device in devices:
            self._start(device, action, request, delete=delete)
        return json_answer({"requestId": request_id})

    def request_status(self, call: Call) -> Answer:
        """`Pending`, `Success` or `Failed`."""
        request = self._requests.get(call.params["request_id"])
        if call.params["account"] != self._config.account_name:
            raise api_error("REQUEST_FAILED.AccountNotFound", "The account was not found")
        if request is None or request.devices != 1:
            raise api_error("REQUEST_FAILED.UnexpectedError", "No request with one device has this id")
        return json_answer({"requestId": call.params["request_id"], "status": request.status})

    def history(self, call: Call) -> Answer:
        """What happened to one device in a window of time."""
        body = read_object(call)
        known_fields(body, frozenset({"deviceId", "earliest", "latest"}))
        first, last = _moment(body, "earliest"), _moment(body, "latest")
        device = self._store.find(*device_identifier(body.get("deviceId")), call.now)
        if device is None:
            raise api_error("REQUEST_FAILED.DeviceNotFound", "The device was not found")
        lines = [_history_line(device, event) for event in device.events if first <= event.at <= last]
        return json_answer({"provisioningHistory": lines, "hasMoreData": False})

    def schedule_activation(self, device: SimulatedDevice, due: float) -> None:
        """Let a pending device become active at `due`, with a number."""
        end = _End("active", "Activation Confirmed", Request(1))
        self._clock.later(due, partial(self._finish, device, device.step, end))

    def _check_account(self, body: Mapping[str, Any]) -> None:
        if body.get("accountName", self._config.account_name) != self._config.account_name:
            raise api_error("REQUEST_FAILED.AccountNotFound", "The account was not found")

    def _present(self, ids: Mapping[str, str], now: float) -> SimulatedDevice:
        kind, identifier = next(iter(ids.items()))
        device = self._store.find(kind, identifier, now)
        if device is None:
            raise api_error("REQUEST_FAILED.DeviceNotFound", f"The device {identifier} was not found")
        return device

    def _check_activation(self, iccid: str, now: float) -> None:
        device = self._store.find("iccid", iccid, now)
        if device and device.state not in _ACTIVATED_FROM:
            raise api_error("INPUT_INVALID.DeviceState.Invalid", f"{iccid} is {device.state}")

    def _to_activate(self, iccid: str, now: float) -> SimulatedDevice:
        return self._store.find("iccid", iccid, now) or self._store.add(iccid, "pre-active")

    def _accept(self, devices: int) -> tuple[str, Request]:
        request_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        request = self._requests[request_id] = Request(devices)
        return request_id, request

    def _start_activation(self, device: SimulatedDevice, request: Request, call: Call) -> None:
        if device.state == "active":
            request.status = "Failed"
            return
        self._begin(device, PENDING)
        device.assign_number()
        end = _End("active", "Activation Confirmed", request)
        if call.ends_badly:
            end = _End("deactive", "Activation Failed", request)
        due = call.now + self._config.activation_seconds
        self._clock.later(due, partial(self._finish, device, device.step, end))

    def _start(self, device: SimulatedDevice, action: Action, request: Request, *, delete: bool) -> None:
        self._begin(device, action.meanwhile)
        end = _End(action.result, f"{action.event} Confirmed", request)
        due = self._clock.now() + self._config.action_seconds
        self._clock.later(due, partial(self._finish, device, device.step, end))
        if delete:
            self._clock.later(due, lambda _now: self._store.remove(device))

    def _begin(self, device: SimulatedDevice, state: str) -> None:
        device.state = state
        device.step += 1
        device.busy = True
        self._store.keep(device)

    def _finish(self, device: SimulatedDevice, step: int, end: _End, now: float) -> None:
        if self._store.changed.get(device.index) is not device or device.step != step:
            return  # a test or a later action has overtaken this one
        end.request.status = "Failed" if end.event.endswith("Failed") else "Success"
        device.state, device.busy = end.state, False
        if end.state == "active":
            device.assign_number()
        device.events.append(Event(now, end.event, end.request.status))
        self._store.keep(device)


def _check_deactivation(body: Mapping[str, Any]) -> None:
    text_field(body, "accountName")
    if text_field(body, "reasonCode") != "FF":
        raise api_error("REQUEST_FAILED.UnexpectedError", "The reason code is not valid")
    for name in ("etfWaiver", "deleteAfterDeactivation"):
        if not isinstance(body.get(name, False), bool):
            raise api_error("DeserializationFailed", f"The element {name} must be true or false")


def _moment(body: Mapping[str, Any], name: str) -> float:
    try:
        return datetime.fromisoformat(text_field(body, name)).timestamp()
    except ValueError:
        raise api_error("REQUEST_FAILED.UnexpectedError", f"{name} must be ISO 8601") from None


def _history_line(device: SimulatedDevice, event: Event) -> dict[str, Any]:
    mdn, msisdn = device.numbers
    return {
        "occurredAt": datetime.fromtimestamp(event.at, UTC).isoformat(),
        "status": event.status,
        "eventBy": "Sandbox User",
        "eventType": event.event_type,
        "servicePlan": "SandboxPlan",
        "mdn": mdn,
        "msisdn": msisdn,
        "extendedAttributes": [],
    }
