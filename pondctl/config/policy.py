"""The policy of the host: settings may be tighter than it, never looser."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pondctl.config.sections import ROLES, AccessSettings, LimitSettings, Role
from pondctl.config.settings import Settings
from pondctl.errors import ConfigurationError

POLICY_FILE = Path("/etc/pondctl/policy.toml")
_HINT = (
    "root mends it: `protected`, and the tables [access] and [limits] with the keys that they have in a "
    "profile; it binds all profiles"
)


class _Policy(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    protected: bool = False
    access: AccessSettings = AccessSettings()
    limits: LimitSettings = LimitSettings()


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What a policy file says: the dotted keys it names, with their values; or why it is not in force."""

    path: Path
    values: Mapping[str, Any]
    warning: str | None = None


def read_policy(path: Path) -> PolicyFile | None:
    """Read the policy; None where there is none. One that others may write is ignored, with a warning."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"the policy {path} cannot be read: {error.strerror}") from None
    if status.st_uid != 0 or stat.S_IMODE(status.st_mode) & 0o022:
        return PolicyFile(
            path, {}, f"the policy {path} is ignored: only root may own it and be able to write it"
        )
    return PolicyFile(path, _parse(path, content))


def tighten(settings: Settings, policy: PolicyFile) -> dict[str, Any]:
    """Return the values, by dotted key, where the policy is tighter than the settings."""
    tighter = {}
    for key, bound in policy.values.items():
        mine = settings.value_of(key)
        held = _RULES.get(key, min)(mine, bound)
        if held is None:
            raise ConfigurationError(
                f"{key}: none of {list(mine)} is allowed by the policy {policy.path}, which has {list(bound)}"
            )
        if held != mine:
            tighter[key] = held
    return tighter


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        policy = _Policy.model_validate(tomllib.loads(content.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"the policy {path} is not valid TOML: {error}", hint=_HINT) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"]))
        what = "a policy has no such key" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigurationError(f"the policy {path}: {key}: {what}", hint=_HINT) from None
    named = {"protected": policy.protected} if "protected" in policy.model_fields_set else {}
    for section in ("access", "limits"):
        inner = getattr(policy, section)
        named |= {f"{section}.{name}": getattr(inner, name) for name in inner.model_fields_set}
    return named


def _lower_role(mine: Role, bound: Role) -> Role:
    return min(mine, bound, key=ROLES.index)


def _fewer_providers(mine: tuple[int, ...], bound: tuple[int, ...]) -> tuple[int, ...] | None:
    """Empty means all on both sides, so an empty intersection is an error (None), never all."""
    if not bound:
        return mine
    if not mine:
        return bound
    return tuple(provider for provider in mine if provider in bound) or None


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "protected": lambda mine, bound: mine or bound,
    "access.role": _lower_role,
    "access.service_provider_ids": _fewer_providers,
    # What is kept for longer shows more: here the policy is a floor.
    "limits.retention_days": max,
}
