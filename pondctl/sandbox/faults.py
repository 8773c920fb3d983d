"""Faults as data: what goes wrong, at which endpoint, how often; and the text form for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from pondctl.errors import UsageError

ENDPOINTS = (
    "thingspace.token",
    "thingspace.revoke",
    "thingspace.login",
    "thingspace.logout",
    "thingspace.lookup",
    "thingspace.page",
    "thingspace.get",
    "thingspace.activate",
    "thingspace.suspend",
    "thingspace.restore",
    "thingspace.deactivate",
    "thingspace.request_status",
    "thingspace.history",
    "thingspace.account",
    "thingspace.plans",
    "thingspace.callbacks",
    "thingspace.register_callback",
    "thingspace.deregister_callback",
    "thingspace.unknown",
    "pond.list_packages",
    "pond.get_package",
    "pond.add_package",
    "pond.package_active",
    "pond.package_terminated",
    "pond.package_status",
    "pond.get_device",
    "pond.get_sim",
    "pond.get_sim_status",
    "pond.set_sim_status",
    "pond.unknown",
    "unknown",
)


class FaultKind(StrEnum):
    """What can go wrong. The comment says what `value` means, and whether a write takes effect."""

    LATENCY = "latency"  # seconds before the call is handled; it takes effect then, also if nobody waits
    STATUS = "status"  # the status that is answered instead; no effect
    THROTTLE = "throttle"  # 429 with this Retry-After in seconds; no effect
    THROTTLE_DATE = "throttle_date"  # the same with Retry-After as an HTTP date
    CUT_BEFORE = "cut_before"  # connection closed; no effect
    CUT_AFTER = "cut_after"  # effect, then the connection is closed without an answer
    CUT_BODY = "cut_body"  # effect, then the connection is closed in the middle of the body
    LATE = "late"  # connection closed now, effect so many seconds later
    EXPIRE_BEARER = "expire_bearer"  # the bearer is over just before the call
    EXPIRE_SESSION = "expire_session"  # the session is over just before the call
    HTML = "html"  # effect, then 200 with a page in HTML
    TRUNCATED = "truncated"  # effect, then half of the JSON under a right length
    WRONG_TYPE = "wrong_type"  # effect, then JSON of another type than announced
    ERROR_IN_200 = "error_in_200"  # 200 with the carrier's error object; no effect
    REFUSE = "refuse"  # the carrier's 400, `value` is its code or message; no effect
    FAIL_LATER = "fail_later"  # ThingSpace activate: accepted, then failed, the device ends deactive
    OTHER_DEVICE = "other_device"  # the answer names another device than was asked for
    SLOW_BODY = "slow_body"  # the body comes with so many bytes a second
    REPEAT_PAGE = "repeat_page"  # the page before is answered again
    STUCK_CURSOR = "stuck_cursor"  # more data announced, but the cursor does not rise
    NO_DEVICE_ID = "no_device_id"  # more data announced, but no DeviceId to go on with
    FOREIGN_ACCOUNT = "foreign_account"  # the last device of the page belongs to another account


_DEFAULTS: dict[FaultKind, float | str] = {
    FaultKind.LATENCY: 1.0,
    FaultKind.STATUS: 503.0,
    FaultKind.THROTTLE: 1.0,
    FaultKind.THROTTLE_DATE: 1.0,
    FaultKind.LATE: 1.0,
    FaultKind.SLOW_BODY: 1.0,
    FaultKind.REFUSE: "",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. It fires on every `every`-th matching call after the first `after`, at most `count` times.

    `contains` must stand in the path or body of the call: an ICCID, a package id, a status word.
    """

    endpoint: str
    kind: FaultKind
    value: float | str | None = None
    count: int | None = None
    after: int = 0
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    contains: str = ""

    def __post_init__(self) -> None:
        """Refuse what could never fire, so that no test passes because of a misspelt endpoint."""
        if not any(fnmatchcase(name, self.endpoint) for name in ENDPOINTS):
            raise UsageError(f"no endpoint of the sandbox matches {self.endpoint!r}", hint=_ENDPOINT_HINT)
        if self.every < 1 or self.after < 0 or not 0 <= self.probability <= 1 or self.count == 0:
            raise UsageError(f"the fault on {self.endpoint} can never fire: {self}")
        if self.value is not None and self.kind not in _DEFAULTS:
            raise UsageError(f"{self.kind} takes no value")
        if self.kind is not FaultKind.REFUSE and _number(self.value) < 0:
            raise UsageError(f"{self.kind} needs a number, not {self.value!r}")

    @property
    def number(self) -> float:
        """The value as a number, or the kind's default."""
        return float(self.value if self.value is not None else _DEFAULTS[self.kind])

    @property
    def text(self) -> str:
        """The value as text; empty where none was given."""
        return "" if self.value is None else str(self.value)


_ENDPOINT_HINT = f"endpoints: {', '.join(ENDPOINTS)}"
_SPEC_HINT = (
    "ENDPOINT:KIND[=VALUE][,count=N][,after=N][,every=N][,probability=P][,seed=N][,contains=TEXT]; "
    f"kinds: {', '.join(FaultKind)}"
)
_OPTIONS: dict[str, type[Any]] = {
    "count": int,
    "after": int,
    "every": int,
    "probability": float,
    "seed": int,
    "contains": str,
}


def parse_fault(spec: str) -> Fault:
    """Read `pond.add_package:cut-after,count=1`; raise UsageError that names the spec."""
    endpoint, colon, rest = spec.partition(":")
    first, *others = rest.split(",")
    word, _, value = first.partition("=")
    try:
        if not colon:
            raise ValueError("no colon between endpoint and kind")
        kind = FaultKind(word.strip().replace("-", "_"))
        return Fault(endpoint.strip(), kind, value or None, **dict(map(_option, others)))
    except (ValueError, UsageError) as error:
        raise UsageError(f"invalid fault {spec!r}: {error}", hint=_SPEC_HINT) from error


def _number(value: float | str | None) -> float:
    try:
        return float(value or 0)
    except ValueError:
        return -1.0


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if name not in _OPTIONS or not equals:
        raise ValueError(f"unknown option {text!r}")
    return name, _OPTIONS[name](value)
