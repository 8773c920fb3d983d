from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pondctl.errors import DatabaseUnavailableError, ExitCode
from pondctl.output.tables import Column
from tests.output.given import Printed

COLUMNS = (Column("id"), Column("status"), Column("created", "CREATED"), Column("devices", right=True))
ROWS: list[dict[str, object]] = [
    {
        "id": 9_007_199_254_740_993,
        "status": "PROCESSED",
        "created": datetime(2026, 11, 23, 9, 30),
        "devices": 5,
    },
    {"id": 7, "status": None, "created": None, "devices": 12_000, "bulk_change_id": 42, "is_active": True},
]


def _interrupted_rows() -> Iterator[dict[str, object]]:
    yield ROWS[0]
    raise DatabaseUnavailableError("no answer")


def test_json_is_an_array_of_objects_whose_ids_are_strings() -> None:
    printed = Printed("json")

    printed.output.table(ROWS, COLUMNS)

    first, second = json.loads(printed.out)
    assert first == {
        "id": "9007199254740993",
        "status": "PROCESSED",
        "created": "2026-11-23T09:30:00Z",
        "devices": 5,
    }
    assert (second["id"], second["bulk_change_id"]) == ("7", "42")
    assert (second["status"], second["created"], second["is_active"]) == (None, None, True)


def test_an_empty_list_is_an_empty_array_and_a_note() -> None:
    printed = Printed("json")

    printed.output.table([], COLUMNS, empty="no bulk change is open")

    assert json.loads(printed.out) == []
    assert printed.err == "no bulk change is open\n"


def test_an_empty_table_is_only_a_note() -> None:
    printed = Printed()

    printed.output.table([], COLUMNS)

    assert (printed.out, printed.err) == ("", "nothing to show\n")


def test_jsonl_is_an_object_a_line() -> None:
    printed = Printed("jsonl")

    printed.output.table(ROWS, COLUMNS)

    assert [json.loads(line)["id"] for line in printed.out.splitlines()] == ["9007199254740993", "7"]


def test_csv_has_the_columns_and_empty_cells_for_nothing() -> None:
    printed = Printed("csv")

    printed.output.table(ROWS, COLUMNS)

    rows = list(csv.reader(io.StringIO(printed.out)))
    assert rows == [
        ["id", "status", "created", "devices"],
        ["9007199254740993", "PROCESSED", "2026-11-23T09:30:00Z", "5"],
        ["7", "", "", "12000"],
    ]


def test_a_table_in_a_pipe_is_aligned_plain_text() -> None:
    printed = Printed()

    printed.output.table(ROWS, COLUMNS)

    assert printed.out.splitlines() == [
        "ID                STATUS     CREATED               DEVICES",
        "9007199254740993  PROCESSED  2026-11-23T09:30:00Z        5",
        "7                 \u2013          \u2013                       12000",
    ]


def test_later_rows_widen_a_long_table_and_cut_nothing() -> None:
    printed = Printed()
    rows = [{"id": "1"}] * 600 + [{"id": "9" * 300}]

    printed.output.table(rows, [Column("id"), Column("status")])

    lines = printed.out.splitlines()
    assert len(lines) == 602
    assert lines[-1].split()[0] == "9" * 300


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_what_is_left_out_is_told_on_stderr(form: str) -> None:
    printed = Printed(form)

    printed.output.table(ROWS, COLUMNS, total=12_345)

    assert printed.err == "showing 2 of 12,345; --all for the rest\n"


def test_a_whole_list_says_nothing_on_stderr() -> None:
    printed = Printed()

    printed.output.table(ROWS, COLUMNS, total=2)

    assert printed.err == ""


def test_an_error_between_the_rows_leaves_only_the_error_document() -> None:
    printed = Printed("json")
    with pytest.raises(DatabaseUnavailableError) as raised:
        printed.output.table(_interrupted_rows(), COLUMNS)
    printed.output.error(raised.value)

    assert json.loads(printed.out)["error"]["code"] == "database_unavailable"


def test_an_error_between_the_rows_is_the_last_line_of_jsonl() -> None:
    printed = Printed("jsonl")
    with pytest.raises(DatabaseUnavailableError) as raised:
        printed.output.table(_interrupted_rows(), COLUMNS)
    printed.output.error(raised.value)

    assert "error" in json.loads(printed.out.splitlines()[-1])


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_quiet_lists_print_nothing_but_still_read(form: str) -> None:
    printed = Printed(form, quiet=True)

    printed.output.table(ROWS, COLUMNS, total=12_345)
    printed.output.record(ROWS[0])
    with pytest.raises(DatabaseUnavailableError):
        printed.output.table(_interrupted_rows(), COLUMNS)

    assert (printed.out, printed.err) == ("", "")


def test_quiet_lists_print_where_the_exit_code_is_not_good() -> None:
    printed = Printed("jsonl", quiet=True)

    printed.output.table(ROWS, COLUMNS, exit_code=ExitCode.DRIFT)
    printed.output.record(ROWS[0], exit_code=ExitCode.DRIFT)

    assert len(printed.out.splitlines()) == 3


RECORD = {
    "id": 42,
    "iccid": "89148000001234567898",
    "seen": datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
    "locked": False,
    "note": "two\nlines",
    "tags": ["a", "b"],
    "packages": [{"id": 1, "state": "ACTIVE"}, {"id": 2, "type": 9}],
    "ratio": float("nan"),
}


def test_a_record_is_one_json_object() -> None:
    printed = Printed("json")

    printed.output.record(RECORD)

    assert json.loads(printed.out) == {
        "id": "42",
        "iccid": "89148000001234567898",
        "seen": "2026-01-01T10:00:00Z",
        "locked": False,
        "note": "two\nlines",
        "tags": ["a", "b"],
        "packages": [{"id": "1", "state": "ACTIVE"}, {"id": "2", "type": 9}],
        "ratio": None,
    }


def test_a_record_is_a_line_a_value_and_a_table_for_what_it_holds() -> None:
    printed = Printed()

    printed.output.record(RECORD)

    assert printed.out.splitlines() == [
        "id      42",
        "iccid   89148000001234567898",
        "seen    2026-01-01T10:00:00Z",
        "locked  no",
        "note    two\\nlines",
        'tags    ["a", "b"]',
        "ratio   nan",
        "",
        "packages",
        "ID  STATE   TYPE",
        "1   ACTIVE  \u2013",
        "2   \u2013       9",
    ]


def test_a_record_in_csv_and_jsonl_is_one_row() -> None:
    as_csv, as_jsonl = Printed("csv"), Printed("jsonl")
    as_csv.output.record(RECORD)
    as_jsonl.output.record(RECORD)

    (row,) = csv.DictReader(io.StringIO(as_csv.out))
    assert row["iccid"] == "89148000001234567898"
    assert json.loads(row["packages"])[0] == {"id": "1", "state": "ACTIVE"}
    assert json.loads(as_jsonl.out)["id"] == "42"


def test_times_keep_their_fraction_in_json() -> None:
    printed = Printed("json")

    printed.output.record({"at": datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)})

    assert json.loads(printed.out)["at"] == "2026-01-01T00:00:00.250000Z"
