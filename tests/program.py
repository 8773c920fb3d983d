"""The program as a process of its own, in an environment that knows nothing of the machine it runs on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Ended:
    """How the process ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """stdout as the one document it must be."""
        return json.loads(self.stdout)


@dataclass
class Program:
    """`pondctl` with `home` as its home; `environ` is all it sees besides."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)
    module: str = "pondctl"

    @property
    def config_file(self) -> Path:
        """Where it looks for its settings."""
        return self.home / ".config" / "pondctl" / "config.toml"

    def configure(self, text: str, mode: int = 0o600) -> Path:
        """Write the configuration file."""
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(text)
        self.config_file.chmod(mode)
        return self.config_file

    def run(self, *words: object, stdin: str = "", encoding: str = "utf-8", **environ: str) -> Ended:
        """Run it to its end."""
        done = subprocess.run(
            self.command(words),
            env=self.environment(environ),
            input=stdin,
            capture_output=True,
            encoding=encoding,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *words: object, **environ: str) -> subprocess.Popen[str]:
        """Start it, and leave the rest to the caller."""
        return subprocess.Popen(
            self.command(words),
            env=self.environment(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, words: tuple[object, ...]) -> list[str]:
        """The command line of the process."""
        return [sys.executable, "-m", self.module, *(str(word) for word in words)]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of the process."""
        mine = {"HOME": str(self.home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        return mine | self.environ | dict(more)
