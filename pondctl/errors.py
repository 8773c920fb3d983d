"""What can go wrong with a run, and the exit code each of it ends in.

What concerns one device is an outcome (a value, see `models.DeviceOutcome`); what concerns the run
is one of these. `DeviceError` is the one exception that crosses over: a client raises it, and the
service turns it into an outcome.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The one table of exit codes; README and `pondctl --help` print it."""

    OK = 0
    BUG = 1
    USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    DRIFT = 5
    BUSY = 6
    UNAVAILABLE = 7
    WAITING = 8
    UNKNOWN = 9
    DECLINED = 10
    SIGINT = 130
    SIGTERM = 143

    @property
    def meaning(self) -> str:
        """The sentence that help and README show for this code."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "all done, or nothing to do",
    ExitCode.BUG: "unexpected error (a bug)",
    ExitCode.USAGE: "usage or configuration; confirmation missing without a terminal",
    ExitCode.PARTIAL: "a person is needed: some devices failed or were skipped in this run",
    ExitCode.REFUSED: "credentials, permission or role refused",
    ExitCode.DRIFT: "drift left (reconcile)",
    ExitCode.BUSY: "another run holds the lease",
    ExitCode.UNAVAILABLE: "the run ended early: carrier, queue or database unavailable, or the next "
    "check could not be queued: safe to run again",
    ExitCode.WAITING: "wait: only pending or deferred are left, the next check is queued",
    ExitCode.UNKNOWN: "unknown outcomes are open: run the same command again, "
    "or reconcile --apply --max-changes N",
    ExitCode.DECLINED: "declined at the prompt",
    ExitCode.SIGINT: "SIGINT after an orderly stop",
    ExitCode.SIGTERM: "SIGTERM after an orderly stop",
}

# When several hold at once, the first one here is the truth to tell (design: the command line).
PRECEDENCE = (
    ExitCode.SIGINT,
    ExitCode.SIGTERM,
    ExitCode.BUG,
    ExitCode.REFUSED,
    ExitCode.UNAVAILABLE,
    ExitCode.UNKNOWN,
    ExitCode.PARTIAL,
    ExitCode.WAITING,
    ExitCode.DRIFT,
    ExitCode.OK,
)


class Category(StrEnum):
    """Why a device did not simply get done."""

    AUTHENTICATION = "authentication"
    RATE_LIMITED = "rate_limited"
    NETWORK = "network"
    CARRIER_UNAVAILABLE = "carrier_unavailable"
    CARRIER_REJECTED = "carrier_rejected"
    INVALID_STATE = "invalid_state"
    INVALID_ICCID = "invalid_iccid"
    NOT_FOUND = "not_found"
    DATABASE = "database"
    RETRIES_EXHAUSTED = "retries_exhausted"
    WRONG_CARRIER = "wrong_carrier"
    CANCELLED = "cancelled"
    GUARDED = "guarded"


class PondctlError(Exception):
    """A run cannot start or go on. `message` names the thing, `hint` says what to do."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PondctlError):
    """The command line asks for something that cannot be meant."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ConfigurationError(PondctlError):
    """A setting is missing, unknown, unsafe or contradicts another."""

    code = "configuration"
    exit_code = ExitCode.USAGE


class NotFoundError(PondctlError):
    """The named bulk change, run or message does not exist."""

    code = "not_found"
    exit_code = ExitCode.USAGE


class WrongCarrierError(PondctlError):
    """The bulk change belongs to the other carrier."""

    code = "wrong_carrier"
    exit_code = ExitCode.USAGE


class ConfirmationMissingError(PondctlError):
    """A confirmation is needed and there is no terminal to ask on."""

    code = "confirmation_missing"
    exit_code = ExitCode.USAGE


class SharedQueueError(ConfigurationError):
    """A valid message is somebody else's, and no setting says where such messages go."""

    code = "shared_queue"


class SchemaError(PondctlError):
    """A table or column is missing, or the schema is newer than this program."""

    code = "schema"
    exit_code = ExitCode.USAGE


class AuthenticationError(PondctlError):
    """A carrier or the database refused the credentials. Never repeated by itself."""

    code = "authentication"
    exit_code = ExitCode.REFUSED


class PermissionDeniedError(PondctlError):
    """Credentials are right, but this is not allowed to them (or to the role)."""

    code = "permission"
    exit_code = ExitCode.REFUSED


class BusyError(PondctlError):
    """Another run holds the lease."""

    code = "busy"
    exit_code = ExitCode.BUSY


class UnavailableError(PondctlError):
    """Something the run needs gave no good answer for too long. Safe to run again."""

    code = "unavailable"
    exit_code = ExitCode.UNAVAILABLE


class CarrierUnavailableError(UnavailableError):
    """The carrier gave no good answer for `limits.outage_seconds`."""

    code = "carrier_unavailable"


class ListingError(UnavailableError):
    """An account listing broke off or contradicted itself; what it did not show is not known."""

    code = "listing"


class DatabaseUnavailableError(UnavailableError):
    """The database did not answer, also after redoing the unit of work."""

    code = "database_unavailable"


class QueueUnavailableError(UnavailableError):
    """The queue did not take or give a message."""

    code = "queue_unavailable"


class RunLostError(UnavailableError):
    """The run's lease went to another run, or the run was cancelled; it wrote nothing since."""

    code = "run_lost"


class DeclinedError(PondctlError):
    """The operator said no at the prompt."""

    code = "declined"
    exit_code = ExitCode.DECLINED


class InterruptedRunError(PondctlError):
    """SIGINT arrived; what was in flight is finished and saved."""

    code = "interrupted"
    exit_code = ExitCode.SIGINT


class TerminatedRunError(PondctlError):
    """SIGTERM arrived; what was in flight is finished and saved."""

    code = "terminated"
    exit_code = ExitCode.SIGTERM


class DeviceError(PondctlError):
    """A carrier's answer about one device; a service turns it into an outcome, it ends no run.

    `temporary` tells whether asking again later can help; `answer_lost` that a write may have
    taken effect although no answer came; `carrier_state` is the carrier's own word, where it gave one.
    """

    code = "device"
    exit_code = ExitCode.PARTIAL

    def __init__(
        self,
        message: str,
        *,
        category: Category,
        temporary: bool,
        answer_lost: bool = False,
        carrier_state: str | None = None,
    ) -> None:
        super().__init__(message)
        self.category = category
        self.temporary = temporary
        self.answer_lost = answer_lost
        self.carrier_state = carrier_state


class MessageError(PondctlError):
    """A message that no retry can mend. `field` is the place in it; `reason` never repeats the value."""

    code = "invalid_message"
    exit_code = ExitCode.USAGE

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
