"""Settings out of all their sources, checked, with the origin of every value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pondctl.config.policy import POLICY_FILE, PolicyFile, read_policy, tighten
from pondctl.config.secrets import Reader, Secret, Sources
from pondctl.config.settings import Settings, leaves
from pondctl.config.sources import (
    Given,
    choose_profile,
    config_path,
    from_environment,
    from_file,
    read_file,
)
from pondctl.errors import ConfigurationError


def load(
    *,
    profile: str | None = None,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    readers: Mapping[str, Reader] | None = None,
    policy_file: Path = POLICY_FILE,
) -> Settings:
    """Return the effective settings. `overrides` are what flags say, by dotted key.

    No secret is read here, no connection is made. Raises ConfigurationError that names the key and
    where its value came from, never the value.
    """
    environ = os.environ if environ is None else environ
    path, must_exist = config_path(config_file, environ)
    file = read_file(path, must_exist=must_exist)
    name = choose_profile(file, profile, environ)
    given = from_file(file, name) if file else {}
    given |= from_environment(environ)
    given |= {key: Given(value, "flag") for key, value in (overrides or {}).items()}
    settings = _validate(given)
    origins = dict.fromkeys(leaves(), "default") | {key: each.origin for key, each in given.items()}
    policy = read_policy(policy_file)
    if policy is not None:
        settings = _tightened(settings, policy, origins)
    settings._profile, settings._origins = name, origins
    settings._file = str(path) if file else None
    settings._warnings = (policy.warning,) if policy and policy.warning else ()
    sources = Sources(environ, path.parent.absolute(), readers or {})
    for key in leaves():
        value = settings.value_of(key)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Secret) and each:
                each.bind(key, sources)
    return settings


def _validate(given: Mapping[str, Given]) -> Settings:
    try:
        return Settings.model_validate(_nested({key: each.value for key, each in given.items()}))
    except ValidationError as error:
        # `from None`: the original would carry the values, secrets among them, into a traceback.
        raise ConfigurationError(_explain(error, given)) from None


def _tightened(settings: Settings, policy: PolicyFile, origins: dict[str, str]) -> Settings:
    tighter = tighten(settings, policy)
    origins.update(dict.fromkeys(tighter, f"policy {policy.path}"))
    sections: dict[str, Any] = {}
    for name, values in _nested(tighter).items():
        inner = getattr(settings, name)
        sections[name] = inner.model_copy(update=values) if isinstance(values, dict) else values
    return settings.model_copy(update=sections)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, dot, name = key.partition(".")
        if dot:
            nested.setdefault(section, {})[name] = value
        else:
            nested[section] = value
    return nested


def _explain(error: ValidationError, given: Mapping[str, Given]) -> str:
    lines = []
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        parts = [str(part) for part in each["loc"]]
        key = ".".join(parts)
        origin = next((given[k].origin for k in (".".join(parts[:2]), parts[0]) if k in given), None)
        message = each["msg"].removeprefix("Value error, ").replace("tuple", "list")
        lines.append(f"{key}: {message[:1].lower()}{message[1:]}" + (f" ({origin})" if origin else ""))
    return "; ".join(lines)
