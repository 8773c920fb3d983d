"""Debian's chromium without a window, network or memory of earlier tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

# Set by the gate: there a missing browser is no reason to skip.
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
_ALWAYS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def open_page(page: Path, *more: str) -> tuple[str, list[str]]:
    """Open a page; returns what it prints (`--dump-dom`) and what its console said."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as data:
        done = subprocess.run(
            [CHROMIUM, *_ALWAYS, f"--user-data-dir={data}", *more, page.as_uri()],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)
