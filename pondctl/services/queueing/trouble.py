"""What a run that failed means for the message that caused it. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from pondctl.errors import (
    BusyError,
    InterruptedRunError,
    NotFoundError,
    PondctlError,
    RunLostError,
    SharedQueueError,
    TerminatedRunError,
    UnavailableError,
    UsageError,
    WrongCarrierError,
)

BUSY_SECONDS: Final = 60
UNAVAILABLE_SECONDS: Final = 60


class Remedy(Enum):
    """What is done with the message."""

    COPY = auto()
    BURY = auto()
    PASS_ON = auto()
    QUEUED_AGAIN = auto()
    TRY_ONCE_MORE = auto()
    KEEP = auto()
    KEEP_AND_END = auto()


_REMEDIES: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Remedy], ...]] = (
    # Another run works on it, or has taken this one's lease: later there may be nothing left to do.
    ((BusyError, RunLostError), Remedy.COPY),
    (UnavailableError, Remedy.QUEUED_AGAIN),
    ((InterruptedRunError, TerminatedRunError), Remedy.KEEP),
    ((WrongCarrierError, SharedQueueError), Remedy.PASS_ON),
    ((NotFoundError, UsageError), Remedy.BURY),
    # Credentials, rights, settings, schema: they would fail the next message as well.
    (PondctlError, Remedy.KEEP_AND_END),
)


def remedy_for(error: BaseException) -> Remedy:
    """The first line of the table that fits; anything that is no error of ours is a bug."""
    for kinds, remedy in _REMEDIES:
        if isinstance(error, kinds):
            return remedy
    return Remedy.TRY_ONCE_MORE
