"""Which role each command needs. A command that declares none is not registered at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Role = Literal["viewer", "operator", "admin"]
Given = Mapping[str, Any]
Command = TypeVar("Command", bound=Callable[..., None])

_DECLARED = "__pondctl_access__"


@dataclass(frozen=True, slots=True)
class Access:
    """The role that a command needs; what needs more than a viewer is put on record.

    `looks`: with these arguments it only looks. `makes_tables`: it may be what makes the table of the
    audit trail.
    """

    role: Role
    looks: Callable[[Given], bool]
    makes_tables: bool

    def role_for(self, given: Given) -> Role:
        """The role needed with these arguments."""
        return "viewer" if self.looks(given) else self.role


def _never(_given: Given) -> bool:
    return False


def dry_run(given: Given) -> bool:
    """The usual case of a command that only looks."""
    return bool(given["dry_run"])


def needs(
    role: Role, *, looks: Callable[[Given], bool] = _never, makes_tables: bool = False
) -> Callable[[Command], Command]:
    """Declare the role that a command needs, and when a viewer may run it."""

    def declare(command: Command) -> Command:
        setattr(command, _DECLARED, Access(role, looks, makes_tables))
        return command

    return declare


def access_of(command: Callable[..., None]) -> Access:
    """What a command has declared; raises `TypeError` where that was forgotten."""
    access = getattr(command, _DECLARED, None)
    if not isinstance(access, Access):
        raise TypeError(f"{command.__module__}.{command.__qualname__} declares no role: use @needs")
    return access
