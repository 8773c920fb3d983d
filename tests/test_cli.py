"""The front door: help, exit codes, signals, bugs, and streams that go away."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from pondctl.cli import COMMANDS, build
from pondctl.errors import ExitCode
from tests.program import ROOT, Ended, Program
from tests.world import World


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def probe(tmp_path: Path) -> Program:
    """The same entry point with commands that misbehave."""
    return Program(tmp_path, module="tests.probe")


# Help and usage


def test_the_help_ends_with_every_exit_code(program: Program) -> None:
    ended = program.run("--help", COLUMNS="100")

    assert ended.exit_code == 0
    codes = ended.stdout[ended.stdout.index("Exit codes") :].split()
    for code in ExitCode:
        assert str(int(code)) in codes
        assert code.meaning.split()[-1] in codes


def test_the_help_has_its_panels_in_order(program: Program) -> None:
    text = program.run("--help").stdout
    shown = [panel for panel in ("Work", "Look", "Operate", "Try") if f"─ {panel} ─" in text]

    assert [text.index(f"─ {panel} ─") for panel in shown] == sorted(
        text.index(f"─ {panel} ─") for panel in shown
    )
    assert "Operate" in shown


def test_the_help_loads_nothing_heavy(program: Program) -> None:
    code = (
        "import sys\nfrom pondctl.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=program.environment({}), capture_output=True, text=True, check=True
    )

    loaded = set(ended.stderr.split())
    heavy = {"pydantic", "sqlalchemy", "httpx", "boto3", "botocore", "structlog", "alembic", "cryptography"}
    heavy |= {"pydantic_settings", "psutil", "tenacity", "platformdirs", "uvicorn", "starlette", "asyncio"}
    assert "typer" in loaded
    assert not loaded & heavy


def test_a_list_loads_nothing_that_it_does_not_need(world: World) -> None:
    code = (
        "import sys\nfrom pondctl.cli import main\n"
        "try:\n    main(['dead-letter', 'list'])\n"
        "except SystemExit:\n    print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | world.settings,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "no dead letters" in ended.stderr
    heavy = {
        "httpx",
        "boto3",
        "botocore",
        "structlog",
        "alembic",
        "cryptography",
        "textual",
        "rich",
        "psutil",
    }
    assert not set(ended.stderr.split()) & heavy


def test_every_command_takes_the_shared_options_and_says_what_it_does() -> None:
    build(COMMANDS)
    cli = build(COMMANDS)  # a second time, as tests do that run the program in their own process
    infos = [info for group in cli.registered_groups for info in group.typer_instance.registered_commands]

    assert len(infos) >= len(COMMANDS)
    for info in infos:
        assert {"profile", "config", "verbose", "quiet"} <= set(inspect.signature(info.callback).parameters)
        assert inspect.getdoc(info.callback)


def test_the_shared_options_work_before_and_after_the_subcommand(probe: Program) -> None:
    before = probe.run("--profile", "a", "--config", "f", "-vv", "-q", "--log-format", "json", "report")
    after = probe.run("--log-format", "json", "report", "--profile", "a", "--config", "f", "-vv", "-q")
    both = probe.run("--profile", "a", "--config", "f", "-v", "report", "--profile", "b", "-v")

    assert before.stdout == after.stdout == "a f 2 True json\n"
    assert both.stdout == "b f 2 False auto\n"


def test_the_version_is_one_line(program: Program) -> None:
    ended = program.run("--version")

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("pondctl ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["confg"], "Did you mean 'config'?"),
        (["config", "show", "--nope"], "No such option: --nope"),
        (["config", "show", "-o", "xml"], "'xml' is not one of 'table', 'json', 'jsonl', 'csv'"),
        (["db", "grants"], "Missing argument 'LOGIN'"),
        (["db", "prune", "--days", "0"], "greater than or equal to 1"),
        (["db", "prune", "--days", "x"], "integer"),
    ],
)
def test_wrong_usage_is_exit_2_with_one_line_on_stderr(
    program: Program, words: list[str], message: str
) -> None:
    ended = program.run(*words)

    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("flag", [["-o", "json"], ["-ojson"], ["--output", "jsonl"], ["--output=json"]])
def test_wrong_usage_under_json_is_a_document(program: Program, flag: list[str]) -> None:
    ended = program.run("config", "show", *flag, "--nope")

    assert ended.exit_code == 2
    assert ended.json["error"]["code"] == "usage"
    assert "--nope" in ended.json["error"]["message"]


@pytest.mark.parametrize("words", [[], ["config"], ["db"]])
def test_a_command_without_arguments_shows_its_help(program: Program, words: list[str]) -> None:
    ended = program.run(*words)

    assert ended.exit_code == 2
    assert "Usage: pondctl" in ended.stdout
    assert ended.stderr == ""


def test_an_error_of_ours_is_told_with_its_hint_and_its_exit_code(probe: Program) -> None:
    ended = probe.run("fail")
    as_json = probe.run("fail", "-o", "json")

    assert (ended.exit_code, ended.stdout) == (7, "")
    assert ended.stderr == "error: the carrier is away\nhint: try later\n"
    assert as_json.exit_code == 7
    assert as_json.json == {
        "error": {"code": "unavailable", "message": "the carrier is away", "hint": "try later"}
    }


def test_the_end_of_input_at_a_prompt_is_declined(probe: Program) -> None:
    ended = probe.run("ask")

    assert ended.exit_code == 10
    assert "Traceback" not in ended.stderr


# Bugs


def test_a_bug_is_one_message_and_a_redacted_file(probe: Program) -> None:
    ended = probe.run("crash", "89148000001234567898")

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "bug in pondctl" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Planted" not in ended.stderr
    path = Path(ended.stderr.split("the details are in ")[1].strip())
    text = path.read_text()
    assert "ValueError: cannot use dev:" in text
    assert "in crash" in text
    assert "Planted" not in text
    assert "89148000001234567898" not in text
    assert path.is_relative_to(probe.home)


def test_a_bug_under_json_is_a_document(probe: Program) -> None:
    ended = probe.run("crash", "x", "-o", "json")

    assert ended.exit_code == 1
    assert ended.json["error"]["code"] == "bug"


# Signals


def _signalled(program: Program, command: str, *numbers: int) -> tuple[Ended, float]:
    process = program.start(command)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    begin = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.2)
    out, err = process.communicate(timeout=20)
    return Ended(process.returncode, out, err), time.monotonic() - begin


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_an_orderly_run_in_order(probe: Program, number: int, code: int) -> None:
    ended, _ = _signalled(probe, "orderly", number)

    assert ended.exit_code == code
    assert ended.stderr == "error: stopped\nhint: pondctl orderly\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_that_has_nothing_to_put_in_order(
    probe: Program, number: int, code: int
) -> None:
    ended, seconds = _signalled(probe, "sleeper", number)

    assert (ended.exit_code, ended.stderr) == (code, "")
    assert seconds < 10


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGINT, signal.SIGTERM, 143),
        (signal.SIGTERM, signal.SIGINT, 130),
    ],
)
def test_the_second_signal_ends_the_process_at_once(
    probe: Program, first: int, second: int, code: int
) -> None:
    ended, seconds = _signalled(probe, "stubborn", first, second)

    assert (ended.exit_code, ended.stderr) == (code, "")
    assert seconds < 10


def test_a_signal_that_the_caller_ignores_stays_ignored(probe: Program) -> None:
    shell = "trap '' INT; exec \"$@\""
    process = subprocess.Popen(
        ["sh", "-c", shell, "sh", *probe.command(("orderly",))],
        env=probe.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)

    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143


# Streams


def test_a_reader_that_leaves_early_is_no_error_to_talk_about(probe: Program) -> None:
    process = probe.start("pour", "100000")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read()

    assert process.wait(timeout=20) == 7
    assert stderr == ""
    process.stderr.close()
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_a_help_page_that_nobody_reads_is_no_bug(program: Program, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        program.command(tuple(words)),
        env=program.environment({}),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("lines", [1, 100_000])
def test_output_that_is_lost_on_a_full_disk_is_not_success(probe: Program, lines: int) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            probe.command(("pour", lines)),
            env=probe.environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ended.returncode == 7
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "environ", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}]
)
def test_a_terminal_without_unicode_does_not_crash_it(program: Program, environ: dict[str, str]) -> None:
    program.configure('[profiles.default.thingspace]\naccount_name = "Zürich → 電話"\n')

    for words in (["config", "show"], ["config", "show", "-o", "json"], ["--help"]):
        ended = program.run(*words, encoding="utf-8", **environ)
        assert ended.exit_code == 0, ended.stderr
        assert "Traceback" not in ended.stderr
    assert program.run("config", "show", "-o", "json", **environ).json["settings"]


@pytest.mark.parametrize("words", [["config", "show"], ["config", "show", "-o", "json"], ["config", "init"]])
def test_quiet_success_is_silent(program: Program, words: list[str]) -> None:
    for placed in (["-q", *words], [*words, "-q"]):
        program.config_file.unlink(missing_ok=True)
        ended = program.run(*placed)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")


def test_nothing_drives_the_terminal_in_a_pipe(program: Program) -> None:
    for words in (["--help"], ["config", "show"], ["zz"], ["config", "show", "--nope\x1b[31m"]):
        ended = program.run(*words)
        assert "\x1b" not in ended.stdout + ended.stderr


def test_debug_logs_go_to_stderr_and_the_document_stays_alone_on_stdout(program: Program) -> None:
    ended = program.run("-v", "config", "show", "-o", "json")

    assert ended.json["profile"] == "default"
    for line in ended.stderr.splitlines():
        json.loads(line)


def test_python_m_pondctl_and_the_script_are_the_same_program() -> None:
    assert 'pondctl = "pondctl.cli:main"' in (ROOT / "pyproject.toml").read_text()
    assert isinstance(build(COMMANDS), typer.Typer)
