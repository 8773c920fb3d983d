"""POND's bodies into records. Pure: whatever the bytes are, a record or `UnreadableError` comes out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pondctl.clients.pond_api import SERVICE_FIELDS, is_package_id
from pondctl.clients.pond_models import Package, PackageStatus, SimServices
from pondctl.models import normalize_iccid

# 1e11 s is the year 5138, 1e11 ms the year 1973: the carrier does not say which unit it means.
_MILLISECONDS_FROM: Final = 1e11
_WORD_CHARS: Final = 50
_MOST_BYTES: Final = (1 << 63) - 1
_SWITCH: Final = {"ENABLED": True, "DISABLED": False}
_SIM_STATUS_FIELD: Final = "statusOfSim"


class UnreadableError(ValueError):
    """An answer that proves nothing: the text says what is wrong with it, never what stands in it."""


@dataclass(frozen=True, slots=True)
class PackagePage:
    """One page of a listing. `offset` is what the carrier says it answered, where it says so."""

    total: int
    offset: int | None
    packages: list[Package]


def parse_json(content: bytes) -> Any:
    """The JSON in a body; None for an empty one."""
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableError("the answer is no JSON") from None


def parse_package(body: Any, iccid: str) -> Package:
    """A package of the SIM that was asked about; one of another SIM is refused."""
    if not isinstance(body, dict):
        raise UnreadableError("the answer holds no package")
    package_id = _text(body.get("packageId"))
    if not is_package_id(package_id):
        raise UnreadableError("a package has no readable packageId")
    _check_sim(body.get("simIccid"), iccid)
    word = _text(body.get("status"))[:_WORD_CHARS]
    return Package(
        package_id=package_id,
        package_type_id=_integer(body.get("packageTypeId")),
        status=_status(word),
        carrier_status=word,
        created_at=parse_epoch(body.get("dateCreated")),
        data_usage_remaining_in_bytes=_integer(body.get("dataUsageRemainingInBytes")),
        iccid=iccid,
    )


def parse_page(body: Any, iccid: str) -> PackagePage:
    """One page of packages. Without a total nothing can prove that a listing is complete."""
    if not isinstance(body, dict) or not isinstance(body.get("elements"), list):
        raise UnreadableError("the answer holds no list of packages")
    total = _integer(body.get("total"))
    if total is None or total < 0:
        raise UnreadableError("the listing has no readable total")
    packages = [parse_package(element, iccid) for element in body["elements"]]
    return PackagePage(total=total, offset=_integer(body.get("offset")), packages=packages)


def parse_services(body: Any, iccid: str) -> SimServices:
    """The switches of the SIM that was asked about; words other than ENABLED and DISABLED are None."""
    fields = (*SERVICE_FIELDS, _SIM_STATUS_FIELD)
    if not isinstance(body, dict) or not any(name in body for name in fields):
        raise UnreadableError("the answer holds no SIM status")
    _check_sim(body.get("simIccid", body.get("iccid")), iccid)
    data, voice, sms = (_SWITCH.get(_text(body.get(name)).upper()) for name in SERVICE_FIELDS)
    sim_status = _text(body.get(_SIM_STATUS_FIELD))[:_WORD_CHARS]
    return SimServices(data=data, voice=voice, sms=sms, sim_status=sim_status or None)


def check_acceptance(body: Any, status: PackageStatus | None = None) -> None:
    """Whether an answer lets a change count as made: it is empty, or an object that shows no other status."""
    if body is not None and not isinstance(body, dict):
        raise UnreadableError("the answer is of another kind than announced")
    shown = _status(_text((body or {}).get("status")))
    if status is not None and shown not in {status, PackageStatus.UNKNOWN}:
        raise UnreadableError("the answer shows another status")


def parse_epoch(value: Any) -> datetime | None:
    """Seconds or milliseconds, told apart by magnitude; None for what is no time after 1970."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:_WORD_CHARS])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _status(word: str) -> PackageStatus:
    try:
        return PackageStatus(word.upper())
    except ValueError:
        return PackageStatus.UNKNOWN


def _text(value: Any) -> str:
    """Text, or a number as text (ids and ICCIDs are sent as either); empty for all else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) <= 10**_WORD_CHARS else ""
    return value.strip() if isinstance(value, str) else ""


def _integer(value: Any) -> int | None:
    """An integer that a bigint column takes, also where it was sent as text or as 1.0."""
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < _WORD_CHARS else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST_BYTES:
        return None
    return value


def _check_sim(value: Any, iccid: str) -> None:
    """Refuse what belongs to another SIM: ending it would hit a stranger's device.

    Some systems keep an ICCID without its check digit, so one missing last digit is no other SIM.
    """
    if value in (None, ""):
        return
    shown = normalize_iccid(_text(value)) or ""
    shorter, longer = sorted((shown, iccid), key=len)
    if not shown or not longer.startswith(shorter) or len(longer) - len(shorter) > 1:
        raise UnreadableError("the answer is about another SIM")
