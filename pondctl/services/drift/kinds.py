"""What `reconcile` can find: the kinds, and one finding with what would mend it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any

from pondctl.errors import UsageError


class Kind(StrEnum):
    """How two places disagree. The comment says who is right."""

    MSISDN_MISSING = "msisdn_missing"  # ThingSpace
    MSISDN_DIFFERENT = "msisdn_different"  # ThingSpace
    SETTLED_NOT_ACTIVE = "settled_not_active"  # a person finds out
    SETTLED_NOT_AS_ASKED = "settled_not_as_asked"  # a person finds out: the target was no active device
    ACTIVE_NOT_SETTLED = "active_not_settled"  # ThingSpace
    PACKAGE_ROW_DIFFERS = "package_row_differs"  # POND
    PACKAGE_ROW_MISSING = "package_row_missing"  # POND
    PACKAGE_ROW_EXTRA = "package_row_extra"  # POND
    TWO_ACTIVE_PACKAGES = "two_active_packages"  # a person decides
    ORPHAN_PACKAGE = "orphan_package"  # a person decides
    OPEN_INTENT = "open_intent"  # POND
    HEADER_OPEN = "header_open"  # the rows
    HEADER_CLOSED = "header_closed"  # the rows
    NOTHING_QUEUED = "nothing_queued"  # the rows
    DEAD_LETTER_RIGHT = "dead_letter_right"  # the carrier
    # Of the database alone; a person finds out.
    DUPLICATE_ROW = "duplicate_row"
    DUPLICATE_PACKAGE_ROW = "duplicate_package_row"
    TWO_ACTIVE_ROWS = "two_active_rows"
    BROKEN_REFERENCE = "broken_reference"
    IMPOSSIBLE_ROW = "impossible_row"
    UNEXPLAINED_ROW = "unexplained_row"


class Mender(IntEnum):
    """What mends a finding: `--apply`, a reviewed plan alone, or no program at all."""

    NOBODY = 0
    APPLY = 1
    PLAN = 2


@dataclass(frozen=True, slots=True)
class Drift:
    """One finding. `here` is the database's word, `there` the carrier's (or the rows'); None: nothing.

    `mend` says what would be done, and `fix` is all that is needed to do it while nothing has moved.
    `aside` comes along, and does not make another finding of it.
    """

    kind: Kind
    iccid: str | None = None
    bulk_change_id: int | None = None
    here: str | None = None
    there: str | None = None
    mend: str | None = None
    mender: Mender = Mender.NOBODY
    fix: Mapping[str, Any] = field(default_factory=dict)
    aside: Mapping[str, Any] = field(default_factory=dict)

    def as_text(self) -> str:
        """All of it, for a file."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def as_key(self) -> str:
        """The same finding always has the same key: a plan is held against what is found again."""
        return replace(self, aside={}).as_text()

    @classmethod
    def from_text(cls, text: str) -> Drift:
        """Read `as_text`; raises `UsageError` for anything else."""
        try:
            given = json.loads(text)
            drift = cls(**{**given, "kind": Kind(given["kind"]), "mender": Mender(given["mender"])})
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UsageError("the plan holds a line that is no finding") from None
        return drift


ROW_KINDS = (Kind.MSISDN_MISSING, Kind.MSISDN_DIFFERENT, Kind.ACTIVE_NOT_SETTLED)
PACKAGE_KINDS = (Kind.PACKAGE_ROW_DIFFERS, Kind.PACKAGE_ROW_MISSING, Kind.PACKAGE_ROW_EXTRA)
CARRIER_KINDS = (Kind.TWO_ACTIVE_PACKAGES, Kind.ORPHAN_PACKAGE)
BULK_KINDS = (Kind.HEADER_OPEN, Kind.HEADER_CLOSED, Kind.NOTHING_QUEUED)
