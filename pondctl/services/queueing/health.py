"""A file that says that a worker is alive: written in every turn of its loop, for whoever watches its age."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pondctl.errors import UsageError
from pondctl.services.queueing.tally import Tally
from pondctl.telemetry.logger import Logger

_EVERY_SECONDS: Final = 1.0
_log = Logger()


class HealthFile:
    """Replaced as a whole, at most once a second. Raises `UsageError` where it cannot be written at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = 0.0
        try:
            self._write({})
        except OSError as error:
            raise UsageError(f"--health-file {path} cannot be written: {error.strerror or error}") from error

    def write(self, tally: Tally, in_hand: int) -> None:
        """Say that the loop has come round."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_SECONDS
        try:
            self._write({"received": tally.received, "in_hand": in_hand, "dead_letters": tally.dead})
        except OSError as error:
            _log.warning("health file not written", error=error.strerror)

    def _write(self, facts: dict[str, int]) -> None:
        now = datetime.now(UTC)
        document = {"loop_at": now.isoformat(timespec="seconds"), "pid": os.getpid(), **facts}
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        beside.write_text(json.dumps(document) + "\n", encoding="utf-8")
        beside.replace(self._path)
