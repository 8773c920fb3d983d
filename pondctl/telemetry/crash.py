"""What is left of a bug: a file with the redacted traceback, for whoever mends it."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from pondctl import __version__
from pondctl.telemetry.redact import redact_text


def write_crash_log(error: BaseException) -> Path | None:
    """Write the redacted traceback of `error`, without locals, and return where; None where that fails."""
    from platformdirs import user_log_path

    now = datetime.now(UTC)
    path = user_log_path("pondctl") / f"crash-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(_report(error, now))
    except OSError:
        return None
    return path


def _report(error: BaseException, now: datetime) -> str:
    facts = [
        f"pondctl {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"at {now:%Y-%m-%dT%H:%M:%SZ}",
        f"command: {' '.join(['pondctl', *sys.argv[1:]])}",
        "",
        *traceback.format_exception(error),
    ]
    return redact_text("\n".join(facts).rstrip()) + "\n"
