"""The end of the main chain, kept outside the database: without it a cut of the newest rows leaves no gap."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pondctl.telemetry.audit import Link
from pondctl.telemetry.logger import Logger

_TOO_LONG: Final = 65_536
_log = Logger()


class HeadFile:
    """A file of this host and user for one database: one line an end, the highest number counts."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._complained = False

    @property
    def path(self) -> Path:
        """In the state folder, readable by its owner alone."""
        from platformdirs import user_state_path

        name = hashlib.sha256(self._database.encode()).hexdigest()[:12]
        return user_state_path("pondctl") / f"audit-{name}.head"

    def note(self, end: Link) -> None:
        """Keep an end that is committed. Where that fails the log has it: the deed is done, and on record."""
        try:
            path = self.path
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Short appends of several processes do not mix.
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, f"{end.sequence} {end.mac}\n".encode("ascii"))
                too_long = os.fstat(file).st_size > _TOO_LONG
            finally:
                os.close(file)
            if too_long:
                self._shorten(path)
        except OSError as error:
            if not self._complained:
                _log.warning(
                    "the head of the audit trail is not kept on this host",
                    error=error.strerror,
                    head=f"{end.sequence}:{end.mac}",
                )
            self._complained = True

    def ends(self) -> Mapping[int, str]:
        """All ends that are kept: each must be in the chain."""
        try:
            lines = self.path.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return {}
        pairs = (line.split(" ") for line in lines)
        # The newest line may be half written.
        return {int(p[0]): p[1] for p in pairs if len(p) == 2 and p[0].isdecimal() and len(p[1]) == 64}  # noqa: PLR2004

    def begin_anew(self) -> None:
        """The tables were made a moment ago: what is kept here is of others, and is put aside."""
        path = self.path
        try:
            path.rename(path.with_suffix(f".{time.time_ns()}.old"))
        except OSError:
            return

    def _shorten(self, path: Path) -> None:
        ends = sorted(self.ends().items())[-100:]
        draft = path.with_suffix(f".{os.getpid()}.draft")
        draft.touch(0o600)
        draft.write_text("".join(f"{sequence} {mac}\n" for sequence, mac in ends), encoding="ascii")
        draft.replace(path)
