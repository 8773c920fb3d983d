from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pondctl.errors import AuthenticationError, ConfirmationMissingError
from pondctl.output.console import Output
from tests.output.given import Printed, device


def test_without_a_terminal_a_confirmation_names_the_flag() -> None:
    printed = Printed()

    with pytest.raises(ConfirmationMissingError) as raised:
        printed.output.confirm("terminate 12 devices", "12", flag="--confirm production")

    assert raised.value.hint == "add --confirm production"
    assert "terminate 12 devices" in raised.value.message
    assert raised.value.exit_code == 2
    assert printed.err == ""


def test_notes_and_warnings_go_to_stderr() -> None:
    printed = Printed()

    printed.output.note("profile production, database sql.example")
    printed.output.warn("the Luhn digit does not hold")

    assert printed.out == ""
    assert printed.err == "profile production, database sql.example\nwarning: the Luhn digit does not hold\n"


def test_an_error_names_the_thing_and_says_what_to_do() -> None:
    printed = Printed()

    code = printed.output.error(AuthenticationError("ThingSpace refused the login", hint="pondctl doctor"))

    assert code == 4
    assert printed.err == "error: ThingSpace refused the login\nhint: pondctl doctor\n"
    assert printed.out == ""


def test_an_error_after_a_good_document_stays_off_stdout() -> None:
    printed = Printed("json")
    printed.run(device(1))
    before = printed.out

    printed.output.error(AuthenticationError("the metrics file cannot be written"))

    assert printed.out == before
    assert "metrics file" in printed.err


def test_a_bug_without_a_report_has_no_hint() -> None:
    printed = Printed()

    assert printed.output.bug() == 1
    assert printed.err == "error: unexpected error: a bug in pondctl\n"


def test_quiet_keeps_only_the_first_warnings() -> None:
    printed = Printed(quiet=True)
    for n in range(1_000):
        printed.output.warn(f"warning {n}")
    assert printed.err == ""

    printed.output.error(AuthenticationError("refused"))

    assert len(printed.err.splitlines()) == 51


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="yaml"):
        Output("yaml")


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_rich_is_not_loaded_for_a_pipe(form: str) -> None:
    code = f"""
import sys
from pondctl.models import RunResult
from pondctl.output.console import Output
output = Output({form!r})
output.note("hello")
with output.results("sync-bulk") as report:
    report.finish(RunResult("sync-bulk", "1", {{}}))
sys.exit(any(name.split(".")[0] == "rich" for name in sys.modules))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, check=False
    )

    assert result.returncode == 0, result.stderr
