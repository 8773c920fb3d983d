"""Whether a carrier shows a device as its row asks for it, so that a letter about it has no use. Pure."""

from __future__ import annotations

from pondctl.db.records import DeadLetterHead
from pondctl.db.scratch_sims import Sim
from pondctl.models import Device, DeviceChange, Operation
from pondctl.services.drift.device import is_as_asked
from pondctl.services.drift.kinds import Drift, Kind, Mender
from pondctl.services.lifecycle.rows import operation_of, read_wish
from pondctl.services.syncing.judge import BadRequestError, target_of


def right_letter(letter: DeadLetterHead, rows: int) -> Drift:
    """The finding about a letter whose bulk change has so many rows, all of them as asked for."""
    devices = "the device is" if rows == 1 else f"all {rows:,} devices are"
    return Drift(
        Kind.DEAD_LETTER_RIGHT,
        bulk_change_id=letter.bulk_change_id,
        here=f"dead letter {letter.id}: {letter.category}",
        there=f"{devices} as asked for",
        mend=f"discard dead letter {letter.id}",
        mender=Mender.APPLY,
        fix={"letter": letter.id},
    )


def shown_as_asked(row: DeviceChange, device: Device | None) -> bool:
    """At ThingSpace; a device that it does not show is none."""
    try:
        target = target_of(row.change_request)
    except BadRequestError:
        return False
    return device is not None and is_as_asked(device.carrier_state, device.msisdn, target)


def holds_as_asked(row: DeviceChange, sim: Sim | None) -> bool:
    """At POND, of packages alone: services were not read, so nothing is said of suspending and resuming."""
    if sim is None or not sim.seen:
        return False
    wish = read_wish(row.change_request)
    match operation_of(row.change_request):
        case Operation.ACTIVATE:
            active = sim.active_types.split()
            wanted = wish.package_type_id
            return bool(active) if wanted is None else str(wanted) in active
        case Operation.TERMINATE:
            return not sim.standing
    return False
