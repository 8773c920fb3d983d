"""The settings in force, as people may see them; and a file to begin with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pondctl.config import Secret, Settings, config_path, leaves, write_config
from pondctl.errors import ConfigurationError


def show_settings(settings: Settings) -> Mapping[str, object]:
    """Return profile, file and every setting with its origin; a secret only says that it is set."""
    return {
        "profile": settings.profile,
        "file": settings.file,
        "settings": [
            {"key": key, "value": _shown(key, settings.value_of(key)), "origin": settings.origins[key]}
            for key in leaves()
        ],
    }


def init_config(config_file: Path | None, profile: str | None, *, force: bool) -> Path:
    """Write the commented file and return where; an existing one stays unless `force`."""
    path, _ = config_path(config_file, os.environ)
    name = profile or os.environ.get("PONDCTL_PROFILE") or "default"
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise ConfigurationError(f"{name!r} is no name for a profile: letters, digits, - and _ only")
    write_config(path, name, force=force)
    return path


def _shown(key: str, value: object) -> object:
    if isinstance(value, Secret):
        return value.describe()
    if isinstance(value, tuple):
        return [str(item) for item in value]
    # Ids are text in every output: a number of 19 digits does not survive most readers.
    return str(value) if key.endswith("_id") and value is not None else value
