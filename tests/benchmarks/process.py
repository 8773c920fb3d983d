"""A program as a whole process: how long, how much of a processor, how large."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.program import ROOT

# Decided devices; anything else is trouble, and a figure of it would be none.
GOOD = (0, 3, 8)
_LOOK_SECONDS = 0.05
_MIB = 2**20


@dataclass(frozen=True)
class Took:
    """What a process took. `early_mib`: how large it had been when the caller's mark was reached."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    early_mib: float
    stdout: str


class Started:
    """A process under way."""

    def __init__(
        self,
        words: list[str],
        environment: Mapping[str, str],
        *,
        good: tuple[int, ...] = GOOD,
        reached: Callable[[], bool] | None = None,
    ) -> None:
        self._good = good
        self._words = words
        self._reached = reached
        self._early_mib = self._peak_mib = 0.0
        self._home = tempfile.TemporaryDirectory()
        mine = {"HOME": self._home.name, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self._out, self._err = (Path(self._home.name) / name for name in ("out", "err"))
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._began = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, *words],
                env=mine | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def wait(self) -> Took:
        """Wait for its end; a program that failed is an error with its own words."""
        _, status, usage = os.wait4(self._process.pid, 0)
        seconds = time.monotonic() - self._began
        self._process.returncode = code = os.waitstatus_to_exitcode(status)
        self._ended.set()
        self._watcher.join()
        stdout, stderr = (path.read_text(encoding="utf-8") for path in (self._out, self._err))
        self._home.cleanup()
        if code not in self._good:
            raise RuntimeError(f"{' '.join(self._words)} ended with {code}\n{stderr[-2000:]}{stdout[-500:]}")
        cpu = usage.ru_utime + usage.ru_stime
        return Took(seconds, cpu, self._peak_mib, self._early_mib, stdout)

    def _watch(self) -> None:
        """Note how large it is, and how large it was when the caller's mark was reached.

        What `wait4` tells of a process begins with the size of the one that started it.
        """
        while not self._ended.wait(_LOOK_SECONDS):
            self._peak_mib = max(self._peak_mib, _peak_mib(self._process.pid))
            if self._reached is not None and not self._early_mib and self._reached():
                self._early_mib = self._peak_mib


def command(*words: object) -> list[str]:
    """The command line of pondctl."""
    return ["-m", "pondctl", *(str(word) for word in words)]


def sync_bulk(bulk_change_id: int, strategy: str, *, workers: int = 8, rps: float = 1000) -> list[str]:
    """The command line of the main job."""
    words = ("--strategy", strategy, "--workers", workers, "--rps", rps, "--no-progress")
    return command("sync-bulk", bulk_change_id, *words)


def run(
    words: list[str],
    environment: Mapping[str, str],
    *,
    good: tuple[int, ...] = GOOD,
    reached: Callable[[], bool] | None = None,
) -> Took:
    """Run a Python program to its end."""
    return Started(words, environment, good=good, reached=reached).wait()


def _peak_mib(pid: int) -> float:
    """The largest size so far; Linux keeps it."""
    with suppress(OSError):  # it has just ended
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / _MIB
    return 0.0
