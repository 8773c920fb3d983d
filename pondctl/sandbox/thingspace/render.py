"""Device records as JSON text. Templates instead of a serializer: a page of 2,000 is made in milliseconds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from pondctl.sandbox.thingspace.devices import (
    GROUP,
    SERVICE_PLAN,
    DeviceStore,
    SimulatedDevice,
    id_of,
)

_FIRST_DAY = datetime(2024, 1, 1, 10, 42, 15, tzinfo=UTC)
_ADDED_A_DAY = 5_000
_RECORD = (
    '{"accountName":%s,"billingCycleEndDate":"2026-05-09T20:00:00-04:00","carrierInformations":'
    '[{"carrierName":"Verizon Wireless",%s"state":%s}],"connected":false,"createdAt":"%s",'
    '"customFields":[{"key":"CustomField1","value":"west"}],"deviceIds":[%s{"kind":"imei","id":"35%013d"},'
    '{"kind":"iccId","id":"%s"}%s],"extendedAttributes":[{"key":"DeviceId","value":"%d"},'
    '{"key":"PrimaryPlaceOfUseTitle"}],"groupNames":["%s"],"ipAddress":"%s",'
    '"lastActivationBy":"Sandbox User","lastActivationDate":"%s",'
    '"lastConnectionDate":"2026-03-12T04:23:37-04:00"}'
)
_PLAN = f'"servicePlan":"{SERVICE_PLAN}",'
_PLANLESS = frozenset({"deactive", "pre-active"})


def created_at(index: int) -> datetime:
    """When the device was added: later places were added later."""
    return _FIRST_DAY + timedelta(days=index // _ADDED_A_DAY)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return created_at(number * _ADDED_A_DAY).isoformat()


@lru_cache(maxsize=256)
def _text(value: str) -> str:
    return json.dumps(value)


def _record(index: int, iccid: str, account: str, shown: tuple[str, str | None, str | None]) -> str:
    state, mdn, msisdn = shown
    day = _day(index // _ADDED_A_DAY)
    return _RECORD % (
        _text(account),
        "" if state in _PLANLESS else _PLAN,
        _text(state),
        day,
        f'{{"kind":"mdn","id":"{mdn}"}},' if mdn else "",
        index,
        iccid,
        f',{{"kind":"msisdn","id":"{msisdn}"}}' if msisdn else "",
        id_of(index),
        GROUP,
        f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}",
        day,
    )


def render_device(device: SimulatedDevice) -> str:
    """The record of one device."""
    shown = (device.state, *device.numbers)
    return _record(device.index, device.iccid, device.account_name, shown)


def render_range(store: DeviceStore, start: int, limit: int, now: float) -> tuple[list[str], int]:
    """Records of the account's first `limit` devices from a place on, and the place after the last."""
    records: list[str] = []
    account, iccid_of, seeded = store.account_name, store.fleet.iccid, store.seeded
    changed, gone, fleet_size = store.changed, store.gone, store.fleet.size
    place = start
    while place < store.end and len(records) < limit:
        device = changed.get(place)
        if device is not None:
            if place not in gone and device.account_name == account:
                records.append(render_device(device))
        elif place < fleet_size and place not in gone:
            records.append(_record(place, iccid_of(place), account, seeded(place, now)))
        place += 1
    return records, place


def page_body(records: list[str], *, more: bool) -> bytes:
    """The answer of the list endpoint."""
    flag = "true" if more else "false"
    return f'{{"hasMoreData":{flag},"devices":[{",".join(records)}]}}'.encode()
