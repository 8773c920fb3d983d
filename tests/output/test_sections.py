"""A thing with parts, as a person reads it."""

from __future__ import annotations

import json
from datetime import datetime

from tests.output.given import Printed

RECORD: dict[str, object] = {
    "id": 42,
    "status": "NEW",
    "carrier": {"status": "known", "age_seconds": 0, "packages": [{"package_id": "p1", "detail": None}]},
    "said": ["one", "two"],
    "nothing": [],
    "empty": {},
    "at": datetime(2026, 11, 23, 8, 0),
}


def test_facts_come_first_then_a_section_for_each_part() -> None:
    printed = Printed()

    printed.output.record(RECORD, parts=True)

    assert printed.out.splitlines() == [
        "id      42",
        "status  NEW",
        "at      2026-11-23T08:00:00Z",
        "",
        "carrier",
        "  status       known",
        "  age seconds  0",
        "",
        "carrier: packages",
        "PACKAGE ID",
        "p1",
        "",
        "said",
        "  one",
        "  two",
        "",
        "nothing",
        "  none",
    ]


def test_json_is_the_same_with_and_without_parts() -> None:
    plain, parted = Printed("json"), Printed("json")

    plain.output.record(RECORD)
    parted.output.record(RECORD, parts=True)

    assert parted.out == plain.out
    assert json.loads(parted.out)["id"] == "42"


def test_what_comes_from_outside_moves_no_cursor() -> None:
    printed = Printed()

    printed.output.record({"a\x1b[2J": {"b\n": "c\x07", "list": [{"d": "\x9b31m"}]}}, parts=True)

    assert all(line.isprintable() for line in printed.out.splitlines())


def test_quiet_prints_nothing() -> None:
    printed = Printed(quiet=True)

    printed.output.record(RECORD, parts=True)

    assert printed.out == ""
