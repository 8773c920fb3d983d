"""The plan of a reconcile in a file: what would be done, for a person to review, and for `--apply --plan`.

One JSON document with a finding on each line, so that a million of them are written and read in little
memory. It counts as edited as soon as one byte is another.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

from pondctl.errors import UnavailableError, UsageError
from pondctl.services.drift.kinds import Drift

_FORM: Final = 1
_HOURS: Final = 24
_CLOCK_DIFFERENCE: Final = timedelta(minutes=5)
_LONGEST_LINE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PlanHead:
    """Whose plan it is, and how old (database time). `database` names the place without its secrets."""

    profile: str
    database: str
    run_id: str
    created: datetime
    complete: bool

    def as_line(self) -> bytes:
        """The first line of the file."""
        fields = {
            "pondctl_plan": _FORM,
            "profile": self.profile,
            "database": self.database,
            "run_id": self.run_id,
            "created": self.created.isoformat() + "Z",
            "complete": self.complete,
        }
        return (json.dumps(fields)[:-1] + ', "items": [\n').encode()


def refuse_existing(path: Path) -> None:
    """Raise `UsageError` where there is a file already: looking may take hours, so it is said first."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"--plan-out {path} exists already", hint="name a file that does not exist")
    if not path.parent.is_dir():
        raise UsageError(f"--plan-out {path}: there is no folder {path.parent}")


def write_plan(path: Path, head: PlanHead, drifts: Iterable[Drift]) -> int:
    """Write the file, which must not exist; returns how many findings it holds."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError as error:
        raise UsageError(f"--plan-out {path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            return _write(stream, head, drifts)
    except OSError as error:
        # Half a plan is none, and would be in the way of the next one.
        path.unlink(missing_ok=True)
        raise UnavailableError(f"--plan-out {path} cannot be written: {error.strerror}") from error


def _write(stream: IO[bytes], head: PlanHead, drifts: Iterable[Drift]) -> int:
    digest, count = hashlib.sha256(), 0

    def put(line: bytes) -> None:
        digest.update(line)
        stream.write(line)

    put(head.as_line())
    for drift in drifts:
        put((b",\n" if count else b"") + drift.as_text().encode())
        count += 1
    put(b"\n" if count else b"")
    stream.write(f'], "sha256": "{digest.hexdigest()}"}}\n'.encode())
    return count


class PlanFile:
    """A plan that was checked as a whole; its findings are read again each time, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.head = self._check()

    def require_ours(self, profile: str, database: str, now: datetime) -> None:
        """Raise `UsageError` where the plan is another profile's or database's, or too old."""
        head = self.head
        if head.profile != profile:
            raise self._refused(f"was made for profile {head.profile!r}, this is {profile!r}")
        if head.database != database:
            raise self._refused("was made for another database")
        age = now - head.created
        if age > timedelta(hours=_HOURS) or age < -_CLOCK_DIFFERENCE:
            raise self._refused(f"was made {head.created.isoformat()}Z, which is not within {_HOURS} hours")

    def drifts(self) -> Iterator[Drift]:
        """The findings of the plan."""
        with self._path.open("rb") as stream:
            stream.readline(_LONGEST_LINE)
            for line in _lines(stream):
                if line.startswith(b"]"):
                    return
                yield Drift.from_text(line.decode().rstrip(",\n"))

    def _check(self) -> PlanHead:
        try:
            with self._path.open("rb") as stream:
                first = stream.readline(_LONGEST_LINE)
                digest = hashlib.sha256(first)
                for line in _lines(stream):
                    if line.startswith(b"]"):
                        break
                    digest.update(line)
                else:
                    line = b""
                rest = stream.read(1)
        except OSError as error:
            raise UsageError(f"--plan {self._path} cannot be read: {error.strerror}") from error
        if rest or line != f'], "sha256": "{digest.hexdigest()}"}}\n'.encode():
            raise self._refused("is no plan of pondctl, or it was edited")
        return self._head(first)

    def _head(self, line: bytes) -> PlanHead:
        try:
            fields: dict[str, Any] = json.loads(line.decode().rstrip() + "]}")
            if fields.pop("pondctl_plan") != _FORM or fields.pop("items"):
                raise ValueError
            created = datetime.fromisoformat(fields.pop("created").removesuffix("Z"))
            return PlanHead(created=created, **fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self._refused("is no plan of this pondctl") from None

    def _refused(self, why: str) -> UsageError:
        hint = "make a new one: pondctl reconcile --plan-out FILE"
        return UsageError(f"the plan {self._path} {why}", hint=hint)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(_LONGEST_LINE):
        yield line
