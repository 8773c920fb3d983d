"""What belongs to the account and not to a device: the account itself, its plans, its callback listeners."""

from __future__ import annotations

from urllib.parse import urlsplit

from pondctl.sandbox.config import SandboxConfig
from pondctl.sandbox.thingspace.bodies import known_fields, read_object, text_field
from pondctl.sandbox.thingspace.devices import SERVICE_PLAN
from pondctl.sandbox.thingspace.errors import api_error
from pondctl.sandbox.wire import Answer, Call, json_answer

_SERVICES = frozenset(
    [
        "CarrierService",
        "DeviceService",
        "DevicePRLInformation",
        "DeviceProfileService",
        "DeviceSuspensionStatus",
        "DeviceUsage",
        "DiagnosticsService",
        "EnhancedConnectivityService",
        "ExternalProvisioningChanges",
        "PromoteDeviceToPrimaryService",
        "ResumeTrackingNotification",
        "SMSDeliveryConfirmation",
        "StateService",
    ]
)
_PORTS = (80, 443, *range(9001, 9007), *range(28200, 28221), *range(50551, 50560))
_PLAN = {"carrierServicePlanCode": "00000", "code": SERVICE_PLAN, "name": SERVICE_PLAN, "sizeKb": 1048576}


class Account:
    """The account's own pages."""

    def __init__(self, config: SandboxConfig) -> None:
        self._name = config.account_name
        self._callbacks: dict[str, dict[str, str]] = {}

    def account(self, call: Call) -> Answer:
        """Does the account exist, and may it provision?"""
        self._check(call)
        body = {
            "accountName": self._name,
            "accountNumber": self._name.partition("-")[0],
            "organizationName": "Sandbox Organisation",
            "isProvisioningAllowed": True,
            "carriers": ["Verizon Wireless"],
            "features": [],
            "iPPools": [],
            "servicePlans": [_PLAN],
        }
        return json_answer(body)

    def plans(self, call: Call) -> Answer:
        """The service plans."""
        self._check(call)
        return json_answer([_PLAN])

    def callbacks(self, call: Call) -> Answer:
        """The listeners, with their passwords in clear, as the real service shows them."""
        self._check(call)
        return json_answer(list(self._callbacks.values()))

    def register(self, call: Call) -> Answer:
        """One listener per service: a new one displaces the old."""
        self._check(call)
        body = read_object(call)
        known_fields(body, frozenset({"name", "url", "username", "password"}))
        name, url = text_field(body, "name"), text_field(body, "url")
        if name not in _SERVICES or not _allowed(url):
            raise api_error("REQUEST_FAILED.UnexpectedError", "The service name or the url is not allowed")
        self._callbacks[name] = {
            "accountName": self._name,
            "serviceName": name,
            "url": url,
            "username": str(body.get("username", "")),
            "password": str(body.get("password", "")),
        }
        return json_answer({"accountName": self._name, "serviceName": name})

    def deregister(self, call: Call) -> Answer:
        """Remove a listener."""
        self._check(call)
        name = call.params["service"]
        if self._callbacks.pop(name, None) is None:
            raise api_error("REQUEST_FAILED.UnexpectedError", "No listener is registered for this service")
        return json_answer({"accountName": self._name, "serviceName": name})

    def _check(self, call: Call) -> None:
        if call.params["account"] != self._name:
            raise api_error("REQUEST_FAILED.AccountNotFound", "The account was not found")


def _allowed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return False
    return bool(parts.hostname) and port in _PORTS
