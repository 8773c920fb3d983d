from __future__ import annotations

from pondctl.services.running.run import new_run_id
from pondctl.telemetry.redact import redact_text


def test_the_name_of_a_run_is_never_hidden_as_a_telephone_number() -> None:
    names = {new_run_id() for _ in range(3000)}

    assert [name for name in names if redact_text(f"run {name} ended") != f"run {name} ended"] == []
