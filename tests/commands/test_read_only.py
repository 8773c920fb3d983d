"""A database that may only be read: who looks is served, who writes is refused with nothing half done."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dead_letters import bury
from tests.pond_life import PROVIDER, WANTED, A, sims
from tests.unprivileged import run_all
from tests.world import ICCIDS, World

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="rights are taken by way of Linux")
LIFE = ("--package-type", WANTED, "--service-provider", PROVIDER)


@pytest.fixture
def locked(world: World) -> Iterator[World]:
    """A world whose database file and folder nobody may write."""
    if world.engine.dialect.name != "sqlite":
        pytest.skip("file modes are those of SQLite")
    folder = Path(world.url.removeprefix("sqlite:///")).parent
    sims(world, A)
    world.given(ICCIDS[5])
    bury(world, bulk_change_id=1)
    assert world.run("activate", A, *LIFE).exit_code == 0
    world.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    world.close()
    files = sorted(folder.glob("world.db*"))
    for file in files:
        file.chmod(0o444)
    folder.chmod(0o555)
    yield world
    folder.chmod(0o755)
    for file in files:
        file.chmod(0o644)


def test_looking_works_and_writing_is_refused(locked: World) -> None:
    run = locked.own("run")[0]["run_id"]
    locked.close()
    looks = [
        ("status",),
        ("bulk", "list"),
        ("bulk", "show", 1),
        ("watch", 1, "--timeout", "0.1s"),
        ("device", "show", A),
        ("runs", "list"),
        ("runs", "show", run),
        ("dead-letter", "list"),
        ("dead-letter", "show", 1),
        ("audit", "list"),
        ("audit", "verify"),
        ("sync-bulk", 1, "--dry-run"),
        ("activate", ICCIDS[1], *LIFE, "--dry-run"),
        ("reconcile", "--check"),
    ]
    # The look itself works, and finds what is missing.
    writes = [
        ("db", "check"),
        ("sync-bulk", 1),
        ("activate", A, *LIFE),
        ("terminate", A, "--reason", "x", "--yes"),
        ("retry-failed", 1),
        ("reconcile", "--apply", "--max-changes", 5),
        ("dead-letter", "discard", 1, "--reason", "x"),
        ("bulk", "cancel", 1, "--reason", "x", "--yes"),
        ("device", "lock", A, "--reason", "x"),
        ("device", "forget", A, "--reason", "x", "--yes"),
        ("worker", "--once"),
        ("db", "prune"),
    ]
    sent = [locked.calls(name) for name in ("add_package", "package_", "set_sim")]

    found = run_all([*looks, *writes], locked.settings)

    codes = {" ".join(each["words"]): (each["code"], each["err"]) for each in found}
    assert [c for c in list(codes.items())[: len(looks)] if c[1][0] not in (0, 5)] == []
    assert [c for c in list(codes.items())[len(looks) :] if c[1][0] != 4] == []
    assert sent == [locked.calls(name) for name in ("add_package", "package_", "set_sim")]


def test_rights_on_pondctls_own_tables_are_looked_at_too(world: World, tmp_path: Path) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("file modes are those of SQLite")
    state = tmp_path / "state.db"
    world.settings["PONDCTL_DATABASE__STATE_URL"] = f"sqlite:///{state}"
    assert world.run("db", "upgrade").exit_code == 0
    assert world.run("db", "check").exit_code == 0
    state.chmod(0o444)

    check, doctor = run_all([("db", "check", "-o", "json"), ("doctor", "-o", "json")], world.settings)

    [found] = json.loads(check["out"])
    assert (check["code"], doctor["code"]) == (4, 4)
    assert found["subject"] == "pondctl's own tables"
    assert found["remedy"] == f"chmod u+w {state}"
    assert "pondctl's own tables: the login lacks the right to write" in doctor["out"]
