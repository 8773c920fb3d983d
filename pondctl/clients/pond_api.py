"""The two shapes of the POND API as data: `devices` (default) and `sim`, the public distributor API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlencode

from pondctl.clients.pond_models import PackageStatus
from pondctl.errors import UsageError

PAGE_SIZE: Final = 100
# What a carrier gives that was not asked for a size; it cannot refuse that one.
DEFAULT_PAGE_SIZE: Final = 10
PACKAGE_TYPE_FIELD: Final = "packageTypeId"
PACKAGE_STATUS_FIELD: Final = "packageStatus"
SERVICE_FIELDS: Final = ("simDataServiceStatus", "simVoiceServiceStatus", "simSmsServiceStatus")
STATUS_FILTER: Final = "packageStatuses"

# The column that keeps them takes a hundred characters.
_PACKAGE_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}")

ApiName = Literal["devices", "sim"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call. The template stands after base URL and distributor id; not every one uses both ids."""

    name: str
    method: str
    template: str

    def path(self, iccid: str, package_id: str = "") -> str:
        """The path with ids that cannot leave their segment."""
        return self.template.format(iccid=quote(iccid, safe=""), package_id=quote(package_id, safe=""))


@dataclass(frozen=True, slots=True)
class Shape:
    """Where each operation lives. Bodies, fields and the error object are the same in both shapes."""

    list_packages: Endpoint
    add_package: Endpoint
    set_package_status: Endpoint
    get_services: Endpoint
    set_services: Endpoint


SHAPES: Final[dict[ApiName, Shape]] = {
    "devices": Shape(
        list_packages=Endpoint("pond.list_packages", "GET", "/devices/{iccid}/packages"),
        add_package=Endpoint("pond.add_package", "POST", "/devices/{iccid}/packages"),
        set_package_status=Endpoint(
            "pond.set_package_status", "PUT", "/devices/{iccid}/packages/{package_id}/status"
        ),
        get_services=Endpoint("pond.get_services", "GET", "/devices/{iccid}"),
        set_services=Endpoint("pond.set_services", "PUT", "/devices/{iccid}/status"),
    ),
    "sim": Shape(
        list_packages=Endpoint("pond.list_packages", "GET", "/sim/{iccid}/package/infos"),
        add_package=Endpoint("pond.add_package", "POST", "/sim/{iccid}/addPackage"),
        set_package_status=Endpoint("pond.set_package_status", "POST", "/package/{package_id}/status"),
        get_services=Endpoint("pond.get_services", "GET", "/sim/{iccid}/status"),
        set_services=Endpoint("pond.set_services", "POST", "/sim/{iccid}/status"),
    ),
}


def listing_query(offset: int, count: int, statuses: list[PackageStatus]) -> str:
    """The query of one page; the filter is repeated for each status."""
    pairs = [(STATUS_FILTER, str(status)) for status in statuses]
    return urlencode([*pairs, ("offset", offset), ("count", count)])


def is_package_id(text: str) -> bool:
    """Whether it can be one: any form, but no control character, and no `.` or `..` (a path eats them)."""
    return _PACKAGE_ID.fullmatch(text) is not None and text == text.strip() and text not in {".", ".."}


def check_package_id(text: str) -> str:
    """Return a package id that was typed; raises `UsageError` where it cannot be one."""
    if not is_package_id(text):
        raise UsageError(f"{text[:100]!r} is no package id")
    return text
