"""The README is true: its tables are those of the program, its commands run."""

from __future__ import annotations

import re
from pathlib import Path

from pondctl.cli import COMMANDS
from pondctl.errors import ExitCode

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def part(name: str) -> str:
    return README.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]


def test_the_table_of_exit_codes_is_the_one_of_the_program() -> None:
    rows = re.findall(r"^\| ([0-9]+) \| (.+) \|$", part("exit codes"), flags=re.MULTILINE)

    assert {int(code): meaning for code, meaning in rows} == {code.value: code.meaning for code in ExitCode}


def test_the_table_of_commands_names_every_command_and_no_other() -> None:
    first_cells = re.findall(r"^\| (`.+?) \|", part("commands"), flags=re.MULTILINE)
    named = {word.split()[0] for cell in first_cells for word in re.findall(r"`([^`]+)`", cell)}

    assert named == {entry.name for entry in COMMANDS}


def test_the_two_commands_that_do_all_the_setup_are_there() -> None:
    lines = README.splitlines()

    assert "pip install '.[sandbox]' && pondctl demo" in lines
    assert "pip install -e '.[test]' && pytest" in lines


def test_every_file_of_the_walk_exists() -> None:
    package = Path(__file__).parent.parent / "pondctl"
    walk = README.split("### One ICCID on its way through the code")[1]
    named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", walk)

    assert named
    assert [
        name
        for name in named
        if name not in {"commands/x.py", "services/x.py"} and not (package / name).exists()
    ] == []
