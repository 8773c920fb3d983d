"""Data from outside can be anything; what reaches a terminal cannot."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.errors import CarrierUnavailableError
from pondctl.models import DeviceOutcome, Outcome
from pondctl.output.results import Ending, Head
from pondctl.output.safe import csv_cell
from pondctl.output.summary import summary_lines
from pondctl.output.tables import Column
from tests.long_form import LONG
from tests.output.given import Printed, begin, device, result_of

FIELDS = ("iccid", "msisdn", "carrier_state", "detail")
SEEDS = [
    "\x1b[2J\x1b[31mred",
    "\x1b]8;;https://example.invalid\x1b\\link",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066\u2069\u200f\u061c",
    "[red]bold[/red] [link=x]y[/link] :smile:",
    "line\nbreak\rreturn\u2028\u2029\x85\x0b\x0c",
    "\ud800 lone",
    "\x00\x7f\x08",
    "\ufeff\u200b\u00ad\U000e0041",
]
HOSTILE = st.one_of(
    st.sampled_from(SEEDS),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"]) | st.characters(), max_size=40),
    st.lists(st.sampled_from(SEEDS), max_size=3).map("".join),
)
FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _harmful(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in FORBIDDEN and c != "\n"}


def _failing(**fields: str | None) -> DeviceOutcome:
    return DeviceOutcome(**{"iccid": "89148000001234567898", "outcome": Outcome.FAILED, **fields})  # type: ignore[arg-type]


@settings(max_examples=20_000 if LONG else 500, deadline=None)
@given(field=st.sampled_from(FIELDS), text=HOSTILE)
def test_no_field_of_a_device_drives_the_terminal_and_json_keeps_it_exact(field: str, text: str) -> None:
    hostile = _failing(**{field: text})
    table, document, sheet = Printed(), Printed("json"), Printed("csv")
    for printed in (table, document, sheet):
        printed.run(hostile)

    assert not _harmful(table.out)
    assert len(table.out.splitlines()) == 5
    assert document.out.isascii()
    assert not _harmful(document.out)
    assert json.loads(document.out)["devices"][0][field] == text
    assert not _harmful(sheet.out)


@settings(max_examples=500 if LONG else 100, deadline=None)
@given(text=HOSTILE)
def test_no_row_record_or_message_drives_the_terminal(text: str) -> None:
    printed = Printed()
    printed.output.note(text)
    printed.output.warn(text)
    printed.output.error(CarrierUnavailableError(text, hint=text))
    printed.output.table([{"id": text}], [Column("id")])
    printed.output.record({text: text, "list": [text], "rows": [{text: text}]})

    assert not _harmful(printed.out + printed.err)
    assert len(printed.err.split("\n")) <= 6


def test_markup_is_shown_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    printed = Printed()
    printed.output.note("[red]note[/red] :smile:")
    printed.run(_failing(detail="[bold red]detail[/] :smile: https://example.invalid", msisdn="[/]"))

    bare = re.sub(r"\x1b\[[0-9;]*m", "", printed.out + printed.err)
    assert "[red]note[/red] :smile:" in bare
    assert "[bold red]detail[/] :smile: https://example.invalid" in bare
    assert "[/]" in bare
    assert "\x1b]" not in printed.out


@settings(max_examples=300 if LONG else 60, deadline=None)
@given(text=HOSTILE)
def test_with_colour_only_our_own_styles_reach_the_terminal(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORCE_COLOR", "1")
        printed = Printed()
        printed.output.warn(text)
        printed.run(_failing(detail=text, carrier_state=text))

    assert not _harmful(re.sub(r"\x1b\[[0-9;]*m", "", printed.out + printed.err))
    assert not re.search(r"\x1b\[2J|\x1b\]", printed.out + printed.err)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_a_csv_cell_that_a_spreadsheet_would_run_is_neutralised(start: str) -> None:
    printed = Printed("csv")

    printed.run(_failing(detail=f"{start}cmd|' /C calc'!A0"))

    (row,) = csv.DictReader(io.StringIO(printed.out))
    assert row["detail"].startswith("'")


def test_numbers_in_csv_keep_their_sign() -> None:
    assert csv_cell(-5) == "-5"
    assert csv_cell(-0.5) == "-0.5"
    assert csv_cell("-5") == "'-5"
    assert csv_cell(True) == "true"


def test_a_stream_that_cannot_encode_shows_escapes_instead_of_crashing() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    printed = Printed()
    printed.output = type(printed.output)(stdout=stream, stderr=stream)

    printed.run(_failing(detail="caf\u00e9 \u2603"))
    printed.output.table([{"id": None}], [Column("id")])
    stream.flush()

    assert b"caf\\xe9 \\u2603" in raw.getvalue()
    assert raw.getvalue().endswith(b"ID\n-\n")


def test_hostile_extras_stay_on_their_line() -> None:
    ending = Ending(Head("sync-bulk", "r\x1b", False, 1), {}, "success", extra={"a\nb": "\x1b[2J"})

    assert list(summary_lines(ending)) == [
        "sync-bulk of bulk change 1: success (run r\\x1b)",
        "0 devices",
        "a\\nb: \\x1b[2J",
    ]


def test_a_device_that_is_fine_is_not_escaped() -> None:
    printed = Printed()
    with printed.output.results("sync-bulk") as report:
        begin(report)
        report.devices([device(1, Outcome.SKIPPED, detail="Gerät gesperrt (Größe 3), bitte prüfen")])
        report.finish(result_of([device(1, Outcome.SKIPPED)]))

    assert "Gerät gesperrt (Größe 3), bitte prüfen" in printed.out
