"""Where a row and ThingSpace disagree about one device. Pure."""

from __future__ import annotations

from pondctl.db.scratch_rows import NewestRow, Pair
from pondctl.models import DeviceState, normalize_state
from pondctl.services.drift.kinds import Drift, Kind, Mender

_ON_THE_WAY = (DeviceState.PENDING_ACTIVATION, DeviceState.PENDING_DEACTIVATION, DeviceState.UNKNOWN)


def judge_pair(pair: Pair) -> Drift | None:
    """What is wrong with the newest row of a device, as far as ThingSpace shows the device."""
    row = pair.row
    if not pair.shown:
        return None
    state, target = normalize_state(pair.carrier_state), DeviceState(row.target)
    if row.is_processed and not row.has_errors:
        return _settled(pair, state, target)
    reached = state is target and (target is not DeviceState.ACTIVE or bool(pair.msisdn))
    if row.is_cancelled or not reached:
        return None
    mend = "settle the row as done"
    if target is DeviceState.ACTIVE and pair.msisdn != row.msisdn:
        mend += f", with MSISDN {pair.msisdn}"
    return Drift(
        Kind.ACTIVE_NOT_SETTLED,
        row.iccid,
        row.bulk_change_id,
        here=row.status,
        there=pair.carrier_state,
        mend=mend,
        mender=Mender.APPLY,
        fix=_fix(pair, pair.msisdn if target is DeviceState.ACTIVE else None),
    )


def absent(row: NewestRow) -> Drift:
    """The finding about a row that takes a device for active which the account provably does not have."""
    return Drift(Kind.SETTLED_NOT_ACTIVE, row.iccid, row.bulk_change_id, here=row.status)


def is_as_asked(carrier_state: str, msisdn: str | None, target: str) -> bool:
    """Whether the carrier shows a device as a row asks for it; an active one has a number."""
    return normalize_state(carrier_state) == target and (target != DeviceState.ACTIVE or bool(msisdn))


def _settled(pair: Pair, state: DeviceState, target: DeviceState) -> Drift | None:
    row = pair.row
    if target is not DeviceState.ACTIVE:
        if state is target or state in _ON_THE_WAY:
            return None
        here = f"{row.status}, asked for {row.target}"
        return Drift(
            Kind.SETTLED_NOT_AS_ASKED, row.iccid, row.bulk_change_id, here=here, there=pair.carrier_state
        )
    if state is not DeviceState.ACTIVE:
        there = pair.carrier_state or None
        return Drift(Kind.SETTLED_NOT_ACTIVE, row.iccid, row.bulk_change_id, here=row.status, there=there)
    if not pair.msisdn or pair.msisdn == row.msisdn:
        return None
    return Drift(
        Kind.MSISDN_DIFFERENT if row.msisdn else Kind.MSISDN_MISSING,
        row.iccid,
        row.bulk_change_id,
        here=row.msisdn,
        there=pair.msisdn,
        mend=f"write MSISDN {pair.msisdn}",
        mender=Mender.APPLY,
        fix=_fix(pair, pair.msisdn),
    )


def _fix(pair: Pair, msisdn: str | None) -> dict[str, object]:
    row = pair.row
    return {
        "row": row.id,
        "was_msisdn": row.msisdn,
        "was_processed": bool(row.is_processed),
        "was_errors": None if row.has_errors is None else bool(row.has_errors),
        "msisdn": msisdn,
        "state": pair.carrier_state,
    }
