"""The README is true: its tables are those of the program, its commands run."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pondctl.cli import COMMANDS
from pondctl.config.sections import AlertSettings
from pondctl.errors import ExitCode
from pondctl.services.alerting.rules import Kind
from pondctl.telemetry.metrics import METRICS

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


def test_the_rules_for_prometheus_know_the_metrics_and_the_thresholds() -> None:
    rules = yaml.safe_load(README.split("```yaml\n")[1].split("```")[0])["groups"][0]["rules"]
    by_name = {rule["alert"]: rule for rule in rules}
    text = " ".join(rule["expr"] for rule in rules)
    used = {re.sub("_(bucket|count|sum)$", "", name) for name in re.findall(r"pondctl_[a-z_]+", text)}
    limits = AlertSettings()

    assert used <= METRICS.keys()
    assert {match[1] for match in re.finditer(r'alert="([a-z_]+)"', text)} <= set(Kind)
    assert f"> {limits.max_error_rate:g} *" in by_name["PondctlFailures"]["expr"]
    assert f'le="{limits.run_minutes * 60:.1f}"' in by_name["PondctlSlowRun"]["expr"]
    assert limits.run_minutes * 60 in METRICS["pondctl_run_seconds"].buckets
    assert f"[{limits.rate_limit_minutes:g}m]" in by_name["PondctlRateLimited"]["expr"]
    assert f"> {limits.worker_seconds:g}" in by_name["PondctlStaleWorker"]["expr"]
    assert len(by_name) == len(Kind) + 1


def test_every_metric_and_every_alert_stands_in_the_readme() -> None:
    assert [name for name in (*METRICS, *Kind) if f"`{name}`" not in README] == []


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
