"""What a probe found: how bad it is, what it means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pondctl.errors import DeviceError, ExitCode, PondctlError

# The codes a finding may end in, the gravest first.
_CODES: Final = (ExitCode.REFUSED, ExitCode.UNAVAILABLE, ExitCode.PARTIAL, ExitCode.USAGE)


class Level(StrEnum):
    """Only findings change the exit code."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FINDING = "finding"


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the result."""

    level: Level
    message: str
    remedy: str | None = None
    code: ExitCode = ExitCode.OK


def ok(message: str) -> Found:
    """All is well."""
    return Found(Level.OK, message)


def note(message: str, remedy: str | None = None) -> Found:
    """Worth knowing."""
    return Found(Level.NOTE, message, remedy)


def warning(message: str, remedy: str) -> Found:
    """It works, and will not for ever, or not for everything."""
    return Found(Level.WARNING, message, remedy)


def finding(message: str, remedy: str, code: ExitCode = ExitCode.PARTIAL) -> Found:
    """It does not work."""
    return Found(Level.FINDING, message, remedy, code)


def of_error(error: PondctlError, remedy: str = "see the message") -> Found:
    """What a command would end with."""
    code = error.exit_code
    if isinstance(error, DeviceError):
        code = ExitCode.UNAVAILABLE if error.temporary else ExitCode.PARTIAL
    return finding(error.message, error.hint or remedy, code if code in _CODES else ExitCode.PARTIAL)


def worst(found: Iterable[Found]) -> ExitCode:
    """The exit code of all of them."""
    codes = {each.code for each in found if each.level is Level.FINDING}
    return next((code for code in _CODES if code in codes), ExitCode.OK)
