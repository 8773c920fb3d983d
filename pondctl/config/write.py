"""The commented file that `pondctl config init` writes."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pondctl.config.secrets import Secret
from pondctl.config.settings import Settings, sections
from pondctl.config.sources import variable_of
from pondctl.errors import ConfigurationError

_HEAD = """\
# pondctl settings. Every key stands here with its default: remove the "# " before one to change it.
# A flag beats the environment ({example}), the environment this file, this file the default.
# For a secret write a reference: env:NAME, file:PATH, keyring:SERVICE/NAME or aws-secretsmanager:ID#KEY.

default_profile = "{profile}"
"""
# What an absent default looks like when it is filled in.
_EXAMPLES: Mapping[str, object] = {"distributor_id": 1234}


def config_template(profile: str) -> str:
    """Return a file with every key, its default and one line of explanation."""
    head = _HEAD.format(example=variable_of("thingspace.base_url"), profile=profile)
    return head + "\n".join(_profile(profile)) + "\n"


def write_config(path: Path, profile: str, *, force: bool = False) -> None:
    """Write the template to `path`, readable by its owner alone; an existing file only with `force`."""
    # With `force` beside it first, so that a full disk does not cost the old file too.
    target = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if force else path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(config_template(profile))
        if force:
            os.replace(target, path)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            raise ConfigurationError(
                f"{path} exists", hint="--force replaces it, and what it says is lost"
            ) from None
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None


def _profile(profile: str) -> Iterator[str]:
    yield from ("", f"[profiles.{profile}]")
    for name, field in Settings.model_fields.items():
        if name not in sections():
            yield from _entry(name, field)
    for name, model in sections().items():
        yield from ("", f"[profiles.{profile}.{name}]", f"# {_first_line(model)}")
        for key, field in model.model_fields.items():
            yield from _entry(key, field)


def _entry(name: str, field: FieldInfo) -> Iterator[str]:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Secret):
        default = ""
    shown = _EXAMPLES[name] if default is None else default
    none = " (no default)" if default is None else ""
    yield f"# {name} = {_toml(shown)}  # {field.description}{none}"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(value)  # text, numbers, booleans and an empty table are the same in TOML


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").splitlines()[0]
