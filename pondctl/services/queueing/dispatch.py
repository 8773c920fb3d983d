"""What a message of a shared queue is for us: work, done already, not ours, or dead. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

from pondctl.clients.delays import LONGEST_WAIT
from pondctl.clients.message import CheckMessage
from pondctl.db.deliveries import KnownMessage
from pondctl.db.open_work import KnownBulkChange
from pondctl.errors import Category
from pondctl.models import Carrier

# The queue's clock and the database's need not agree to the second.
_CLOCK_DIFFERENCE = timedelta(seconds=5)


class Way(Enum):
    """What is done with a message."""

    SYNC = auto()
    LIFE_CYCLE = auto()
    HINT = auto()
    WORKED_OFF = auto()
    NOT_DUE = auto()
    FOREIGN = auto()
    DEAD = auto()


class Route(NamedTuple):
    """The way, and the reason where a person may read it."""

    way: Way
    reason: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose messages a worker takes (`queue.*`, `*.service_provider_ids`); empty providers: all others."""

    thingspace: frozenset[int] = frozenset()
    pond: frozenset[int] = frozenset()
    allowed: frozenset[int] = frozenset()
    require_flag: bool = True
    accept_writes: bool = False

    def carrier_of(self, service_provider_id: int) -> Carrier | None:
        """The carrier of a service provider; None where it is nobody of ours."""
        if self.allowed and service_provider_id not in self.allowed:
            return None
        if service_provider_id in self.thingspace:
            return Carrier.THINGSPACE
        if service_provider_id in self.pond:
            return Carrier.POND
        return None if self.thingspace else Carrier.THINGSPACE


class Known(NamedTuple):
    """What the database says of a message: its bulk change, its own key, and the checks still to come.

    No `now`: it was not asked, as nothing is left to do.
    """

    bulk_change: KnownBulkChange | None
    message: KnownMessage | None
    newest_check: datetime | None
    now: datetime | None


def route(
    message: CheckMessage, known: Known, rules: Rules, *, sent_at: datetime | None, ours: bool
) -> Route:
    """Decide. `ours`: the message carries a key, so that pondctl has sent it.

    A message that is not ours is never called dead, and what is worked off is never begun again.
    """
    if not _for_status(message) and message.is_retry_update_identifier:
        return Route(Way.FOREIGN, "IsRetryUpdateIdentifier is set")
    if known.bulk_change is None:
        reason = f"bulk change {message.bulk_change_id} does not exist"
        return Route(Way.DEAD, reason, Category.NOT_FOUND)
    found = _by_carrier(message, known.bulk_change, rules)
    if found.way is Way.FOREIGN:
        return found
    if _worked_off(known, found.way) or (not ours and _is_replaced(known, sent_at)):
        return Route(Way.WORKED_OFF)
    due = message.envelope.not_before
    # What is due beyond the longest wait has no delay that could be sent with it: it is due now.
    if due and known.now and _CLOCK_DIFFERENCE < due - known.now <= LONGEST_WAIT:
        return Route(Way.NOT_DUE)
    return found


def _for_status(message: CheckMessage) -> bool:
    return (
        message.is_retry_new_activate_thingspace_device
        or message.is_from_automated_update_device_status_lambda
    )


def _by_carrier(message: CheckMessage, known: KnownBulkChange, rules: Rules) -> Route:
    provider = known.bulk_change.service_provider_id
    match rules.carrier_of(provider):
        case Carrier.THINGSPACE if _for_status(message) or not rules.require_flag:
            return Route(Way.SYNC)
        case Carrier.THINGSPACE:
            return Route(Way.FOREIGN, "IsRetryNewActivateThingSpaceDevice is not set (queue.require_flag)")
        case Carrier.POND if rules.accept_writes:
            return Route(Way.LIFE_CYCLE)
        case Carrier.POND:
            return Route(Way.FOREIGN, "it would write to POND (queue.accept_writes)")
    return Route(Way.FOREIGN, f"service provider {provider} is not ours")


def _worked_off(known: Known, way: Way) -> bool:
    """This very message was worked off before, or its bulk change needs nothing more."""
    if known.message is not None and known.message.done:
        return True
    bulk_change = known.bulk_change
    if bulk_change is None or not bulk_change.ended:
        return False
    return not (bulk_change.has_work if way is Way.SYNC else bulk_change.has_unsettled)


def _is_replaced(known: Known, sent_at: datetime | None) -> bool:
    """A copy of it is under way, or a check that a later look has queued: it has nothing to add.

    The existing producer sends one message for each device; each would else look at all of them.
    """
    if known.message is not None:
        return True
    if known.newest_check is None or sent_at is None:
        return False
    return sent_at + _CLOCK_DIFFERENCE < known.newest_check
