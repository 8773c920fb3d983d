"""Where a header and its rows disagree, or nobody will come back to them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pondctl.models import BulkStatus, Carrier
from pondctl.services.drift.kinds import Drift, Kind, Mender

_ENDS = (BulkStatus.PROCESSED, BulkStatus.ERROR)
_OPEN = (BulkStatus.NEW, BulkStatus.PENDING, BulkStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """A header that has rows, and what is known around it.

    `is_forgotten`: begun, and nobody is seen to work on it. `is_coming`: a check of it is queued.
    Nothing is said of a bulk change that a run holds.
    """

    bulk_change_id: int
    status: str
    unsettled: int
    carrier: Carrier | None
    is_leased: bool = False
    is_forgotten: bool = False
    is_coming: bool = False


def judge_bulk_change(facts: HeaderFacts) -> Iterator[Drift]:
    """At most one finding: each mend puts all of it right."""
    if facts.carrier is None or facts.is_leased:
        return
    if facts.status in _OPEN and not facts.unsettled:
        yield Drift(
            Kind.HEADER_OPEN,
            bulk_change_id=facts.bulk_change_id,
            here=facts.status,
            there="every row is settled",
            mend=f"set the header to {BulkStatus.PROCESSED}",
            mender=Mender.APPLY,
            fix={"was": facts.status},
        )
    elif facts.status in _ENDS and facts.unsettled:
        yield _header_closed(facts)
    elif facts.is_forgotten and facts.unsettled and not facts.is_coming:
        yield _nothing_queued(facts)


def _header_closed(facts: HeaderFacts) -> Drift:
    # A life cycle at POND writes to the carrier: it is begun by a message of the host's, or by a person.
    queues = facts.carrier is Carrier.THINGSPACE and not facts.is_coming
    and_check = ", queue one check" if queues else ""
    return Drift(
        Kind.HEADER_CLOSED,
        bulk_change_id=facts.bulk_change_id,
        here=facts.status,
        there=_open_rows(facts),
        mend=f"set the header to {BulkStatus.PROCESSING}{and_check}",
        mender=Mender.APPLY,
        fix={"was": facts.status, "queue": queues},
    )


def _nothing_queued(facts: HeaderFacts) -> Drift:
    if facts.carrier is not Carrier.THINGSPACE:
        return Drift(Kind.NOTHING_QUEUED, bulk_change_id=facts.bulk_change_id, here=_open_rows(facts))
    return Drift(
        Kind.NOTHING_QUEUED,
        bulk_change_id=facts.bulk_change_id,
        here=_open_rows(facts),
        mend="queue one check",
        mender=Mender.APPLY,
        fix={"was": facts.status, "queue": True},
    )


def _open_rows(facts: HeaderFacts) -> str:
    return f"{facts.unsettled} open row{'' if facts.unsettled == 1 else 's'}"
