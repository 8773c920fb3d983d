"""The program where its user may not write the database: SQLite's way of a login that only reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.world import Result, World

# Root may write whatever the mode says, unless that power is taken from it.
_AS_ANYBODY = ["setpriv", "--bounding-set", "-dac_override"]


def can_be_tried(world: World) -> bool:
    """On SQLite, as any user, and as root where its powers can be dropped."""
    return world.engine.dialect.name == "sqlite" and (
        os.geteuid() != 0 or shutil.which("setpriv") is not None
    )


def run_read_only(world: World, *words: object, **settings: str) -> Result:
    """Run the program as a process of its own; the database can be written again afterwards."""
    file = Path(str(world.engine.url.database))
    drop = _AS_ANYBODY if os.geteuid() == 0 else []
    world.engine.dispose()
    file.chmod(0o444)
    try:
        done = subprocess.run(
            [*drop, sys.executable, "-m", "pondctl", *map(str, words)],
            env=os.environ | world.settings | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        file.chmod(0o644)
    return Result(done.returncode, done.stdout, done.stderr)
