"""Runs the program where even root may not write: several commands in one process, their endings as json."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pondctl.cli import main

_ROOT_OVERRIDES = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
_DROP_FROM_BOUNDING_SET = 24


def run_all(commands: Sequence[Sequence[object]], environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Run the commands one after the other; returns `code`, `out` and `err` of each."""
    words = [[str(word) for word in command] for command in commands]
    done = subprocess.run(
        [sys.executable, "-m", "tests.unprivileged", "drop"],
        input=json.dumps(words),
        env=os.environ | dict(environ),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _run(words: list[str]) -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as ending:
            code = ending.code
    return {"words": words, "code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    if sys.argv[1] == "drop":
        for capability in _ROOT_OVERRIDES:
            ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
        os.execv(sys.executable, [sys.executable, "-m", "tests.unprivileged", "go"])
    print(json.dumps([_run(words) for words in json.load(sys.stdin)]))  # noqa: T201
