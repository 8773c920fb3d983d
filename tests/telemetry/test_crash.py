from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pondctl.telemetry.crash import write_crash_log
from pondctl.telemetry.redact import register_secret


def _crash() -> ValueError:
    register_secret("Planted-in-a-crash")
    local = "a value of the frame"
    try:
        raise ValueError(f"cannot use Planted-in-a-crash for 89148000001234567898 {len(local)}")
    except ValueError as error:
        return error


def test_the_crash_file_has_the_traceback_without_secrets_identifiers_and_locals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    path = write_crash_log(_crash())

    assert path is not None
    text = path.read_text()
    assert "ValueError: cannot use *** for dev:" in text
    assert "in _crash" in text
    assert "Planted" not in text.replace("Planted-in-a-crash", "", 0).split("ValueError:")[-1]
    assert "89148000001234567898" not in text.split("ValueError:")[-1]
    assert "a value of the frame" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_where_no_file_can_be_written_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    assert write_crash_log(_crash()) is None
