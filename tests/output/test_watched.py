"""Something that is looked at again and again, in a pipe."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

import pytest

from pondctl.errors import ExitCode
from tests.output.given import Printed


def look(settled: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "at": datetime(2026, 11, 23, 8, 0, settled),
        "id": "42",
        "status": "PROCESSING",
        "devices": 3000,
        "settled": settled,
        "with_errors": 0,
        "counts": {"done": settled, "pending": 3000 - settled},
        "waits_for": "check 1",
        "timed_out": False,
        **more,
    }


def watch(printed: Printed, *looks: dict[str, Any], code: ExitCode = ExitCode.OK) -> None:
    before: object = None
    with printed.output.watched() as view:
        for each in looks:
            view.show(each, changed=each["settled"] != before)
            before = each["settled"]
        view.finish(code)


def test_only_changes_get_a_line() -> None:
    printed = Printed()

    watch(printed, look(), look(), look(1000 // 20), look(50))

    assert printed.out.splitlines() == [
        "2026-11-23T08:00:00Z  PROCESSING  0 of 3,000 settled: 0 done, 3,000 pending; waits for check 1",
        "2026-11-23T08:00:50Z  PROCESSING  50 of 3,000 settled: 50 done, 2,950 pending; waits for check 1",
    ]


def test_jsonl_ends_with_the_last_look_changed_or_not() -> None:
    printed = Printed("jsonl")

    watch(printed, look(), look(timed_out=True))

    first, last = (json.loads(line) for line in printed.out.splitlines())
    assert first["timed_out"] is False
    assert last["summary"]["timed_out"] is True


def test_json_is_one_document() -> None:
    printed = Printed("json")

    watch(printed, look(), look(7))

    assert json.loads(printed.out)["settled"] == 7


def test_csv_has_one_header() -> None:
    printed = Printed("csv")

    watch(printed, look(), look(7))

    rows = list(csv.reader(io.StringIO(printed.out)))
    assert rows[0][:3] == ["at", "id", "status"]
    assert [row[4] for row in rows[1:]] == ["0", "7"]


@pytest.mark.parametrize(
    ("code", "lines"), [(ExitCode.OK, 0), (ExitCode.WAITING, 0), (ExitCode.PARTIAL, 1), (ExitCode.UNKNOWN, 1)]
)
def test_quiet_shows_the_end_only_where_a_person_is_needed(code: ExitCode, lines: int) -> None:
    printed = Printed(quiet=True)

    watch(printed, look(), look(7), code=code)

    assert len(printed.out.splitlines()) == lines


def test_a_status_from_outside_moves_no_cursor() -> None:
    printed = Printed()

    watch(printed, look(status="\x1b[2J\n", waits_for="\x07"))

    assert len(printed.out.splitlines()) == 1
    assert printed.out.rstrip("\n").isprintable()
