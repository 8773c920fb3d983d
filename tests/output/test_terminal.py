"""A real terminal (a pty) and a real pipe, with a program of its own on the other end."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest

ROOT = Path(__file__).parents[2]
ICCID, MSISDN, PACKAGE = "89148000001234567898", "120155501234567", "3f0e2a4c-0000-4000-8000-0123456789ab"
RUN = f"""
import sys, time
from pondctl.errors import Category
from pondctl.models import DeviceOutcome, Outcome, RunResult
from pondctl.output.console import Output
output = Output(sys.argv[1], quiet="-q" in sys.argv, progress="--no-progress" not in sys.argv)
with output.results("sync-bulk") as report:
    report.run("{PACKAGE}", bulk_change_id=42, dry_run=False, total=100)
    report.phase("Asking ThingSpace", 100)
    for n in range(10):
        report.advance(10)
        failed = DeviceOutcome("{ICCID}", Outcome.FAILED, Category.CARRIER_REJECTED, "pending activation",
                               "{MSISDN}", "the carrier refuses it, package {PACKAGE} is left behind", 7 + n)
        report.devices([failed])
        time.sleep(0.05)
    output.note("a note for {ICCID} while the bar is up " + "x" * 60)
    report.finish(RunResult("sync-bulk", "{PACKAGE}", {{Outcome.FAILED: 10}}, bulk_change_id=42))
"""
ASK = """
from pondctl.output.console import Output
print("answer", Output().confirm("This ends 12 packages.", "12"))
print("answer", Output().confirm("Go on?"))
"""
QUESTION = re.compile(rb"\[y/N\] |to go on: ")


def _environment(**more: str) -> dict[str, str]:
    strange = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    kept = {name: value for name, value in os.environ.items() if name not in strange}
    return {**kept, "TERM": "xterm-256color", **more}


def _in_pipes(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=ROOT,
        env=_environment(**environment),
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _on_terminal(
    code: str,
    *arguments: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    typed: Sequence[bytes] = (),
    typed_ahead: bytes = b"",
    pipe_out: bool = False,
) -> tuple[str, str]:
    """What the terminal got, and what the pipe on stdout got; each question gets what is `typed` next."""
    ours, theirs = pty.openpty()
    out_read, out_write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        env=_environment(**environment),
        stdin=theirs,
        stdout=out_write if pipe_out else theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.close(out_write)
    os.write(ours, typed_ahead)
    seen, answers = b"", iter(typed)
    questions = 0
    with suppress(OSError):  # a pty ends with EIO, not with an empty read
        while piece := os.read(ours, 65536):
            seen += piece
            while questions < len(QUESTION.findall(seen)):
                questions += 1
                os.write(ours, next(answers, b"\x04"))
    with os.fdopen(out_read, "rb") as pipe:
        piped = pipe.read()
    os.close(ours)
    assert process.wait(20) == 0, seen.decode()
    return seen.decode(), piped.decode()


def test_a_terminal_sees_a_bar_with_rate_and_counts() -> None:
    seen, _ = _on_terminal(RUN, "table", environment={"COLUMNS": "160"})

    assert "Asking ThingSpace" in seen
    assert "\u2501" in seen
    assert re.search(r"[0-9]+/s", seen)
    assert re.search(r"100/100|[0-9]0/100", seen)
    assert "failed" in seen.split("sync-bulk of bulk change")[0]
    assert f"a note for {ICCID} while the bar is up {'x' * 60}" in seen


def test_the_bar_is_gone_when_the_result_is_shown() -> None:
    seen, _ = _on_terminal(RUN, "table", environment={"COLUMNS": "160"})

    assert "\u2501" not in seen.split("sync-bulk of bulk change")[1]


def test_a_bar_on_stderr_leaves_json_on_a_pipe_clean() -> None:
    seen, piped = _on_terminal(RUN, "json", pipe_out=True)

    assert "Asking ThingSpace" in seen
    assert piped.startswith('{"command"')
    assert "\x1b" not in piped


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["json"], {}),
        (["table", "-q"], {}),
        (["table", "--no-progress"], {}),
        (["table"], {"TERM": "dumb"}),
        (["table"], {"TTY_INTERACTIVE": "0"}),
    ],
)
def test_there_is_no_bar_where_it_would_be_in_the_way(
    arguments: list[str], environment: dict[str, str]
) -> None:
    seen, _ = _on_terminal(RUN, *arguments, environment=environment)

    assert "Asking ThingSpace" not in seen
    assert ICCID in seen


@pytest.mark.parametrize("environment", [{}, {"COLUMNS": "20"}, {"COLUMNS": "80"}, {"TERM": "dumb"}])
def test_a_pipe_gets_no_bar_no_escape_and_one_row_a_line(environment: dict[str, str]) -> None:
    result = _in_pipes("table", **environment)

    assert "\x1b" not in result.stdout + result.stderr
    assert "Asking" not in result.stdout + result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith(ICCID)]
    assert len(rows) == 10
    assert all(MSISDN in row and PACKAGE in row for row in rows)
    assert "\u2026" not in result.stdout


@pytest.mark.parametrize(
    "environment",
    [{}, {"COLUMNS": "20"}, {"COLUMNS": "80"}, {"TERM": "dumb", "FORCE_COLOR": "1", "COLUMNS": "20"}],
)
def test_a_terminal_of_any_width_gets_whole_ids(environment: dict[str, str]) -> None:
    seen, _ = _on_terminal(RUN, "table", "--no-progress", environment=environment)

    table = seen.split("sync-bulk of bulk change")[1]
    assert table.count(ICCID) == 10
    assert table.count(MSISDN) == 10
    assert table.count(PACKAGE) == 11
    assert "\u2026" not in table


def test_a_usual_result_fits_into_eighty_columns_and_numbers_stand_at_the_right() -> None:
    code = f"""
    from pondctl.errors import Category
    from pondctl.models import DeviceOutcome, Outcome, RunResult
    from pondctl.output.console import Output
    from pondctl.output.tables import Column
    output = Output(progress=False)
    with output.results("sync-bulk") as report:
        report.run("{PACKAGE}", bulk_change_id=42, dry_run=False, total=1)
        report.devices([DeviceOutcome("{ICCID}", Outcome.FAILED, Category.CARRIER_REJECTED,
                        "pending activation", None, "the carrier refuses it for good", 12345678)])
        report.finish(RunResult("sync-bulk", "{PACKAGE}", {{Outcome.FAILED: 1}}, bulk_change_id=42))
    rows = [{{"id": 1, "devices": 5}}, {{"id": 2, "devices": 12345}}]
    output.table(rows, [Column("id"), Column("devices", right=True)])
    """
    seen, _ = _on_terminal(code, environment={"COLUMNS": "80", "TERM": "dumb"})

    lines = seen.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\u2026" not in seen
    assert [line.rstrip() for line in lines[-2:]] == ["1         5", "2     12345"]


def test_colour_in_a_pipe_is_only_for_those_who_ask() -> None:
    forced = _in_pipes("table", FORCE_COLOR="1", COLUMNS="20")
    refused = _in_pipes("table", FORCE_COLOR="1", NO_COLOR="1")

    assert "\x1b[31mfailed" in forced.stdout
    assert forced.stdout.count(ICCID) == forced.stdout.count(MSISDN) == 10
    assert "\x1b[31m" not in refused.stdout


def test_without_a_locale_the_table_still_prints() -> None:
    result = _in_pipes("table", PYTHONIOENCODING="ascii", LC_ALL="C")

    assert ICCID in result.stdout


def test_a_terminal_is_asked_and_the_answer_counts() -> None:
    yes, _ = _on_terminal(ASK, typed=[b"12\n", b"y\n"])
    no, _ = _on_terminal(ASK, typed=[b"13\n", b"\n"])
    end, _ = _on_terminal(ASK, typed=[b"\x04", b"\x04"])

    assert "This ends 12 packages. Type 12 to go on: " in yes
    assert re.findall("answer (True|False)", yes) == ["True", "True"]
    assert re.findall("answer (True|False)", no) == ["False", "False"]
    assert re.findall("answer (True|False)", end) == ["False", "False"]


def test_what_was_typed_before_the_question_is_no_answer_to_it() -> None:
    ahead, _ = _on_terminal(
        "import time; time.sleep(0.3)" + ASK, typed_ahead=b"12\n", typed=[b"no\n", b"y\n"]
    )

    assert "answer False" in ahead
    assert "answer True" in ahead


def test_a_reader_that_goes_away_is_a_broken_pipe_also_with_colour() -> None:
    code = """
    import sys
    from pondctl.output.console import Output
    from pondctl.output.tables import Column
    try:
        Output().table(({"id": "x" * 100} for _ in range(20_000)), [Column("id")])
    except BrokenPipeError:
        print("broken pipe came out", file=sys.stderr)
        sys.stdout = None
    """
    for environment in ({}, {"FORCE_COLOR": "1"}):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=ROOT,
            env=_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr
        assert "broken pipe came out" in process.stderr.read()
        process.stderr.close()
        process.wait(20)
