"""Device records of ThingSpace, read without trusting any field. The payload never leaves this file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pondctl.clients._repeat import RepeatableError
from pondctl.errors import Category
from pondctl.models import Device, normalize_iccid, normalize_state

_MSISDN: Final = re.compile(r"\+?([1-9][0-9]{6,14})")
_MDN: Final = re.compile(r"1?([2-9][0-9]{9})")
_LONGEST_WORD: Final = 100
# Spelt `iccId` in list answers, `Iccid` in callbacks, `ICCID` elsewhere.
_KINDS: Final = frozenset({"iccid", "msisdn", "mdn"})
# Of a million devices each names half a dozen: the spellings of the samples need no search.
_SPELT: Final = {"iccId": "iccid", **{kind: kind for kind in _KINDS}}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list answer: its records as they came, and what it says about more (None: nothing)."""

    records: list[object]
    more: bool | None


def parse_listing(body: object) -> Listing:
    """Return the records of a list answer; an answer of another shape is worth another attempt."""
    if not isinstance(body, dict):
        raise _unreadable("no list of devices")
    records, more = body.get("devices"), body.get("hasMoreData")
    if more is not None and not isinstance(more, bool):
        raise _unreadable("hasMoreData neither true nor false")
    if isinstance(records, list):
        return Listing(records, more)
    # Some writers leave an empty list out; an empty object on the other hand says nothing at all.
    if records is None and more is False:
        return Listing([], more)
    raise _unreadable("no list of devices")


def parse_device(record: object) -> Device | None:
    """Return the device of one record; None where the record does not name an ICCID."""
    if not isinstance(record, dict):
        return None
    ids = _ids(record.get("deviceIds"))
    iccid = normalize_iccid(ids.get("iccid"))
    if iccid is None:
        return None
    state, account_name, address = _state(record), record.get("accountName"), record.get("ipAddress")
    return Device(
        iccid,
        normalize_state(state),
        state,
        _number(ids.get("msisdn"), ids.get("mdn")),
        account_name if isinstance(account_name, str) else None,
        address if isinstance(address, str) else None,
    )


def parse_single(body: object, iccid: str) -> Device | None:
    """Return the device asked for from a list answer; None where it says that there is none.

    Never a device other than the one asked for, and no choice between two that disagree.
    """
    records = parse_listing(body).records
    if not records:
        return None
    found = {device for record in records if (device := parse_device(record)) and device.iccid == iccid}
    if len(found) == 1:
        return found.pop()
    raise _unreadable("another device than the one asked for" if not found else "the device twice, unlike")


def parse_gateway_device(body: object, iccid: str) -> Device | None:
    """Return the device of a gateway's `GET /devices/{iccid}`: flat, one list record, or a list answer."""
    if not isinstance(body, dict) or not body:
        raise _unreadable("no device")
    if "devices" in body:
        return parse_single(body, iccid)
    asked = {"kind": "iccid", "id": iccid}
    if "deviceIds" in body or "carrierInformations" in body:
        ids = body.get("deviceIds")
        device = parse_device({**body, "deviceIds": [*(ids if isinstance(ids, list) else ()), asked]})
    elif body.keys() & {"state", "msisdn", "mdn"}:
        ids = [*({"kind": key, "id": value} for key, value in body.items()), asked]
        state = {"state": body.get("state")}
        device = parse_device({**body, "deviceIds": ids, "carrierInformations": [state]})
    else:
        raise _unreadable("no device")
    if device is None or device.iccid != iccid:
        raise _unreadable("another device than the one asked for")
    return device


def cursor_of(record: object) -> int | None:
    """Return ThingSpace's own number of a device, by which pages are ordered; None where it is not told."""
    attributes = record.get("extendedAttributes") if isinstance(record, dict) else None
    for attribute in attributes if isinstance(attributes, list) else ():
        if isinstance(attribute, dict) and str(attribute.get("key")).lower() == "deviceid":
            value = _text(attribute.get("value")) or ""
            return (
                int(value) if value.isascii() and value.isdecimal() and len(value) < _LONGEST_WORD else None
            )
    return None


def _ids(entries: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        told = entry.get("kind") if isinstance(entry, dict) else None
        if not isinstance(told, str):
            continue
        kind = _SPELT.get(told) or told.lower()
        if kind in _KINDS and kind not in found and (text := _text(entry.get("id"))):
            found[kind] = text
    return found


def _state(record: dict[str, object]) -> str:
    carriers = record.get("carrierInformations")
    for carrier in carriers if isinstance(carriers, list) else ():
        state = carrier.get("state") if isinstance(carrier, dict) else None
        if isinstance(state, str) and state.strip():
            return state.strip()[:_LONGEST_WORD]
    return ""


def _number(msisdn: str | None, mdn: str | None) -> str | None:
    """The MSISDN; else the ten digits of the MDN with the country code, which ThingSpace leaves out there."""
    if msisdn is not None and (match := _MSISDN.fullmatch(msisdn)):
        return match[1]
    if mdn is not None and (match := _MDN.fullmatch(mdn)):
        return "1" + match[1]
    return None


def _text(value: object) -> str | None:
    """An identifier as text; some writers send digits as a JSON number."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def _unreadable(what: str) -> RepeatableError:
    return RepeatableError(f"ThingSpace answered with {what}", category=Category.CARRIER_UNAVAILABLE)
