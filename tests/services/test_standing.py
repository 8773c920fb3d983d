"""Where a bulk change stands: every rule in one line."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from pondctl.db.bulk_facts import Cancellation, ComingCheck, OpenLetter
from pondctl.db.records import RunRecord
from pondctl.db.row_counts import RowCount
from pondctl.models import BulkChange, BulkChangeSummary, Carrier, Operation
from pondctl.services._origin import Origin
from pondctl.services._standing import (
    Standing,
    categories_of,
    command_by_hand,
    next_command,
    outcomes_of,
    span,
    waits_for,
)

NOW = datetime(2026, 11, 23, 8, 0)
CANCELLED = Cancellation("r9", "ann", "wrong list", NOW)


def standing(status: str = "PROCESSING", settled: int = 1, errors: int = 0, **more: Any) -> Standing:
    header = BulkChange(42, 2, None, "StatusUpdate", status, "ann", NOW, None)
    return Standing(BulkChangeSummary(header, 3, settled, errors, 2), **more)


def run(*, stale: bool = False) -> RunRecord:
    about = ("r1", "sync-bulk", "bulk_change:42", "running", "ann", "sql01", "k", 1, 1.0, "p", None)
    return RunRecord(*about, {}, {}, None, False, NOW, NOW, None, stale)


def check(seconds: float, *, in_hand: bool = False) -> ComingCheck:
    return ComingCheck(3, seconds, in_hand)


@pytest.mark.parametrize(
    ("seen", "waits", "command"),
    [
        (standing(), "nothing: no check is queued", "BY HAND"),
        (standing(run=run()), "run r1 (sync-bulk, ann on sql01), which is at work", None),
        (standing(run=run(stale=True)), "run r1 (sync-bulk, ann on sql01), which has died", "BY HAND"),
        (standing(check=check(720)), "check number 3, due in 12 min", None),
        (standing(check=check(30, in_hand=True)), "check number 3, taken by a worker", None),
        (standing(check=check(-60)), "check number 3, due since 1 min", None),
        (
            standing(check=check(-7200)),
            "check number 3, due since 2 h: no worker takes it",
            "pondctl worker --once",
        ),
        (
            standing(letter=OpenLetter(7, "retries_exhausted", 1)),
            "a person: dead letter 7 (retries_exhausted)",
            "pondctl dead-letter show 7",
        ),
        (standing(unresolved=1), "the answer to writes on 1 device that was lost", "BY HAND"),
        (standing("PROCESSED", settled=3), None, None),
        (standing("PROCESSED", 3, 2), "a person: 2 devices failed", "pondctl retry-failed 42"),
        (
            standing("PROCESSING", settled=3),
            "its header: all devices are settled, and nobody has closed it",
            "pondctl reconcile --bulk-change 42 --apply --max-changes 1",
        ),
        (standing("ERROR", 3, 3, cancellation=CANCELLED), None, None),
        (
            standing("PROCESSED", 3, 3, cancellation=CANCELLED),
            "a person: 3 devices failed",
            "pondctl retry-failed 42",
        ),
    ],
)
def test_what_it_waits_for_and_what_to_run(seen: Standing, waits: str | None, command: str | None) -> None:
    assert waits_for(seen) == waits
    assert next_command(seen, lambda: "BY HAND", lambda: ()) == command


@pytest.mark.parametrize(
    ("seen", "settled"),
    [
        (standing("PROCESSED", settled=3), True),
        (standing("PROCESSING", settled=3), True),
        (standing("PROCESSING", settled=3, run=run()), False),
        (standing("PROCESSED", settled=3, run=run()), True),
        (standing("PROCESSED", settled=2), False),
    ],
)
def test_it_is_settled_when_every_row_is_and_nobody_is_about_to_close_it(
    seen: Standing, settled: bool
) -> None:
    assert seen.is_settled is settled


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (RowCount(True, False, "pending activation", 1), "done"),
        (RowCount(True, True, "not_found: ThingSpace does", 1), "failed"),
        (RowCount(True, True, "invalid_iccid: empty", 1), "skipped"),
        (RowCount(True, True, None, 1), "failed"),
        (RowCount(False, False, "pending activation", 1), "pending"),
        (RowCount(False, False, "network: timed out", 1), "deferred"),
        (RowCount(False, False, "carrier_unavailable: 503", 1), "deferred"),
        (RowCount(False, False, "guarded: locked", 1), "skipped"),
        (RowCount(False, False, None, 1), "untouched"),
        (RowCount(False, False, "", 1), "untouched"),
        (RowCount(False, False, "odd: word of the carrier", 1), "pending"),
    ],
)
def test_a_row_shows_its_outcome(row: RowCount, outcome: str) -> None:
    assert outcomes_of([row], 0) == {outcome: 1}


def test_rows_with_a_lost_answer_are_unknown_whatever_their_text_says() -> None:
    rows = [RowCount(False, False, "network: cut", 2), RowCount(False, False, "cancelled: stopped", 1)]

    assert outcomes_of(rows, 2) == {"deferred": 1, "unknown": 2}
    assert outcomes_of(rows, 9) == {"unknown": 3}


def test_categories_are_those_of_rows_that_are_not_simply_done() -> None:
    rows = [
        RowCount(True, True, "not_found: a", 2),
        RowCount(True, True, "not_found: b", 1),
        RowCount(False, False, "network: cut", 4),
        RowCount(True, False, "network: cut", 8),
        RowCount(False, False, "pending activation", 16),
    ]

    assert categories_of(rows) == {"not_found": 3, "network": 4}


def asks(word: str, **request: object) -> str:
    return json.dumps({"UpdateStatus": word, "Request": request})


@pytest.mark.parametrize(
    ("carrier", "operation", "request_", "command"),
    [
        (Carrier.THINGSPACE, None, None, "pondctl sync-bulk 42"),
        (None, None, None, "pondctl sync-bulk 42"),
        (Carrier.POND, None, asks("Active", PackageTypeId=7), "pondctl activate --bulk-change 42"),
        (Carrier.POND, None, asks("Active"), "pondctl activate --bulk-change 42 --package-type ID"),
        (Carrier.POND, Operation.RESUME, asks("Active"), "pondctl resume --bulk-change 42"),
        (Carrier.POND, None, asks("suspended"), "pondctl suspend --bulk-change 42"),
        (Carrier.POND, None, asks("Terminated"), "pondctl terminate --bulk-change 42 --reason TEXT"),
        (Carrier.POND, None, asks("Vanish"), None),
        (Carrier.POND, None, "no JSON", None),
    ],
)
def test_the_command_by_hand_fits_what_the_rows_ask_for(
    carrier: Carrier | None, operation: Operation | None, request_: str | None, command: str | None
) -> None:
    origin = Origin(operation, "r1", "ann") if operation else None

    assert command_by_hand(42, carrier, origin, request_) == command


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_a_span_is_short(seconds: float, text: str) -> None:
    assert span(seconds) == text
