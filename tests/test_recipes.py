"""The recipes of the README for cron, systemd and shells work as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.program import ROOT
from tests.test_readme import README
from tests.world import World

BINARY = "/usr/local/bin/pondctl"
_TIME = r"(?:\*|[0-9]+(?:-[0-9]+)?)(?:/[0-9]+)?"
CRON_LINE = re.compile(rf"((?:{_TIME}(?:,{_TIME})*\s+){{5}})(\S.*)")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


UNITS = {found[1]: block for block in blocks("ini") if (found := re.match(r"# .*/(\S+)\n", block))}


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Mapping[str, str]:
    """An environment in which `pondctl` is this program, pointed at the world."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "pondctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pondctl "$@"\n')
    program.chmod(0o755)
    home = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": f"{folder}:{os.environ['PATH']}"}
    return {**home, **world.settings}


def run(command: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command], env=environ, capture_output=True, text=True, timeout=90, check=False
    )


def test_every_line_of_the_crontab_is_one_and_its_command_is_silent_while_all_is_well(
    world: World, shell: Mapping[str, str]
) -> None:
    (crontab,) = blocks("cron")
    lines = crontab.splitlines()
    jobs = [found for line in lines if (found := CRON_LINE.fullmatch(line))]
    settings = [line for line in lines if re.fullmatch(r"[A-Z_]+=\S+", line)]
    assert len(jobs) >= 4
    assert len(jobs) + len(settings) == len(lines)

    world.execute(
        'INSERT INTO "BulkChange" ("Id", "ServiceProviderId", "ChangeRequestType", "Status", "CreatedBy",'
        ' "CreatedDate", "IsActive", "IsDeleted") VALUES'
        " (42, 2, 'StatusUpdate', 'NEW', 'tests', '2026-11-20', 1, 0)"
    )
    for job in jobs:
        assert "%" not in job[2]  # a line end, to cron
        ended = run(job[2], shell)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", ""), job[2]


def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze is installed")
    program = tmp_path / "pondctl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text.replace(BINARY, str(program)))

    ended = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", *(str(tmp_path / name) for name in UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""


def test_each_unit_says_what_the_program_does(world: World, shell: Mapping[str, str]) -> None:
    """Read without systemd too: the commands are real ones, and no success of theirs counts as a failure."""
    assert set(UNITS) == {"pondctl-reconcile.service", "pondctl-reconcile.timer", "pondctl-worker.service"}
    for name, text in UNITS.items():
        # Environment may stand there twice; nothing else does.
        unit = RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(text)
        if name.endswith(".timer"):
            assert f"{name.removesuffix('.timer')}.service" in UNITS
            continue
        binary, *words = shlex.split(unit["Service"]["ExecStart"])
        assert binary == BINARY
        assert run(shlex.join(["pondctl", *words, "--help"]), shell).returncode == 0
        once = unit["Service"]["Type"] == "oneshot"
        assert unit["Service"]["SuccessExitStatus"] == ("6 8" if once else "143")
        if once:
            assert run(shlex.join(["pondctl", *words]), shell).returncode == 0


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_the_completion_is_a_script_of_that_shell_and_completes(
    name: str, shell: Mapping[str, str], tmp_path: Path
) -> None:
    (recipe,) = [block for block in blocks("bash") if "_COMPLETE" in block]
    for folder in (".local/share/bash-completion/completions", ".zfunc"):
        (tmp_path / folder).mkdir(parents=True)

    assert run(recipe, shell).returncode == 0

    script = (
        tmp_path
        / {"bash": ".local/share/bash-completion/completions/pondctl", "zsh": ".zfunc/_pondctl"}[name]
    )
    program = shutil.which(name)
    if program is None:
        assert script.read_text().startswith("#compdef pondctl")
        pytest.skip(f"no {name} is installed")
    checked = subprocess.run([program, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    if name == "bash":
        asked = f"source {script}; COMP_WORDS=(pondctl re) COMP_CWORD=1; _pondctl_completion pondctl; "
        found = subprocess.run(
            [program, "-c", asked + 'printf "%s\\n" "${COMPREPLY[@]}"'],
            env=dict(shell),
            capture_output=True,
            text=True,
            check=True,
        )
        assert {"reconcile", "report", "retry-failed", "resume"} <= set(found.stdout.split())
