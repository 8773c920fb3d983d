"""`demo` runs the main job to its end, and leaves a profile that works."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path


def pondctl(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pondctl", *words]
    environ = {n: v for n, v in os.environ.items() if not n.startswith("PONDCTL_")} | variables
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False, timeout=90)


def test_the_demo_ends_with_a_queued_check_done_and_a_profile_to_go_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    first = pondctl("demo", "--devices", "100", "--folder", str(folder))

    assert first.returncode == 0, first.stderr
    assert "next check number 1" in first.stdout
    assert "next check number 2" in first.stdout
    assert "sandbox start" in first.stderr
    config = folder / "config.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    shown = json.loads(pondctl("bulk", "show", "1", "-o", "json", "--config", str(config)).stdout)
    assert shown["devices"] == 100
    assert shown["settled"] >= 80
    assert "check number 2" in shown["waits_for"]


def test_the_demo_can_be_run_again_and_has_an_audit_trail_of_its_own_each_time(tmp_path: Path) -> None:
    words = ("demo", "--devices", "20", "--folder", str(tmp_path / "demo"))

    assert [pondctl(*words).returncode, pondctl(*words).returncode] == [0, 0]
    config = ("--config", str(tmp_path / "demo" / "config.toml"))
    whole = pondctl("audit", "verify", "-o", "json", *config)
    with sqlite3.connect(tmp_path / "demo" / "demo.db") as connection:
        connection.execute("DELETE FROM pondctl_audit WHERE id = (SELECT max(id) FROM pondctl_audit)")
    connection.close()
    cut = pondctl("audit", "verify", "-o", "json", *config)

    assert (whole.returncode, json.loads(whole.stdout)["head_was_kept"]) == (0, True), whole.stdout
    assert (cut.returncode, "cut off" in cut.stdout) == (3, True)


def test_the_demo_leaves_the_database_that_the_environment_names_alone(tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    real.touch()
    variables = {"PONDCTL_DATABASE__URL": f"sqlite:///{real}", "PONDCTL_PROFILE": "production"}
    carrier = {"PONDCTL_THINGSPACE__BASE_URL": "https://thingspace.test/api"}

    done = pondctl("demo", "--devices", "20", "--folder", str(tmp_path / "demo"), **variables, **carrier)

    assert done.returncode == 0, done.stderr
    assert real.read_bytes() == b""
    assert "unset PONDCTL_DATABASE__URL PONDCTL_PROFILE PONDCTL_THINGSPACE__BASE_URL" in done.stderr


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    done = pondctl("demo", "--folder", str(file / "demo"))

    assert done.returncode == 2
    assert f"the demo cannot use the folder {file / 'demo'}: Not a directory" in done.stderr
