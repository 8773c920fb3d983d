"""Where values come from: flag > environment > profile in TOML > default, each with its origin."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pondctl.config.secrets import Secret, readable_by_others
from pondctl.config.settings import leaves, sections
from pondctl.errors import ConfigurationError

PREFIX = "PONDCTL_"
# Known to the program or its tests, but no setting of a profile.
_OTHER_VARIABLES = frozenset({"PONDCTL_CONFIG", "PONDCTL_PROFILE", "PONDCTL_TEST_DATABASE_URL"})
_TOP_LEVEL = ("default_profile", "profiles")
_HEADER = re.compile(r"\s*\[+\s*(?P<table>[^\]]+?)\s*\]+\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody gave it, and where."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file that was read: its tables, and its text to find lines in."""

    path: Path
    text: str
    tables: Mapping[str, Any]

    @property
    def profiles(self) -> Mapping[str, Any]:
        """The profiles by name."""
        profiles = self.tables.get("profiles", {})
        return profiles if isinstance(profiles, dict) else {}

    def place_of(self, *keys: str) -> str:
        """`line N: ` where the last of these nested keys is written, for error messages; or nothing."""
        table, wanted = "", ".".join(keys)
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := _HEADER.fullmatch(line):
                table = _unquoted(header["table"])
                if table == wanted:
                    return f"line {number}: "
            elif _unquoted(f"{table}.{line.partition('=')[0]}").strip(".") == wanted:
                return f"line {number}: "
        return ""


def config_path(given: Path | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """Return the file to read, and whether somebody named it (then it must exist)."""
    if given is not None:
        return given.expanduser(), True
    if named := environ.get("PONDCTL_CONFIG"):
        return Path(named).expanduser(), True
    from platformdirs import user_config_path

    return user_config_path("pondctl") / "config.toml", False


def read_file(path: Path, *, must_exist: bool) -> ConfigFile | None:
    """Read the file; None where it is absent and need not be there."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read().decode("utf-8-sig")
    except FileNotFoundError:
        if must_exist:
            raise ConfigurationError(
                f"there is no configuration file {path}", hint="`pondctl config init` writes one"
            ) from None
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    read = ConfigFile(path, text, _parse(path, text))
    if readable_by_others(status) and (key := _literal_secret(read)):
        raise ConfigurationError(
            f"others can read {path}, and {key} holds a secret",
            hint=f"chmod 600 {path}, and change the secret; or put a reference there (env:NAME, …)",
        )
    return read


def choose_profile(file: ConfigFile | None, given: str | None, environ: Mapping[str, str]) -> str:
    """Return the name of the profile in force; raises ConfigurationError naming the known ones."""
    named = environ.get("PONDCTL_PROFILE") or None
    if file is None:
        if given is not None and given != named:
            raise ConfigurationError(
                f"there is no profile {given}: no configuration file was found",
                hint="`pondctl config init` writes one; --config FILE names one",
            )
        return named or "default"
    _check_top_level(file)
    default = file.tables.get("default_profile")
    name = given or named or default or "default"
    if name in file.profiles:
        return str(name)
    known = ", ".join(file.profiles) or "none"
    if not (given or named or default) and not file.profiles:
        return "default"
    if not (given or named or default):
        raise ConfigurationError(
            f"no profile is chosen, and {file.path} has: {known}",
            hint="choose one with --profile, PONDCTL_PROFILE or default_profile",
        )
    raise ConfigurationError(f"there is no profile {name} in {file.path}; it has: {known}")


def from_file(file: ConfigFile, profile: str) -> dict[str, Given]:
    """Return what the profile says, by dotted key."""
    table = file.profiles.get(profile, {})
    origin = f"file {file.path} [profiles.{profile}]"
    given, problems = {}, []
    for key, value in _flatten(table, file, profile):
        if key in leaves():
            given[key] = Given(value, origin)
            continue
        where = file.place_of("profiles", profile, *key.split("."))
        problems.append(f"{where}unknown key {key}{_nearest(key, leaves())}")
    if problems:
        raise ConfigurationError(f"{file.path}: {'; '.join(problems)}", hint=_SEE_ALL)
    return given


def from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    """Return what PONDCTL_* variables say, by dotted key; lists and tables are JSON."""
    given, problems = {}, []
    known = {variable_of(key): key for key in leaves()}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in _OTHER_VARIABLES:
            continue
        key = known.get(name.upper())
        if key is None:
            problems.append(
                f"unknown environment variable {name}{_nearest(name, [*known, *_OTHER_VARIABLES])}"
            )
            continue
        given[key] = Given(_from_text(key, name, text), f"environment {name}")
    if problems:
        raise ConfigurationError("; ".join(problems), hint=_SEE_ALL)
    return given


def variable_of(key: str) -> str:
    """Return the environment variable that sets a dotted key."""
    return PREFIX + key.replace(".", "__").upper()


_EXAMPLES = {
    "database.names": '{"BulkChange": "DeviceBulkChange"}',
    "telemetry.notify": '["file:notify-url"]',
}
_SEE_ALL = "`pondctl config init` writes a file that shows every key"


def _from_text(key: str, name: str, text: str) -> object:
    if not isinstance(leaves()[key].default, tuple | dict):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        example = _EXAMPLES.get(key, "[4, 5]")
        raise ConfigurationError(f"{name} is not valid JSON", hint=f"it is written as {example}") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None


def _check_top_level(file: ConfigFile) -> None:
    for key in file.tables:
        if key not in _TOP_LEVEL:
            raise ConfigurationError(
                f"{file.path}: {file.place_of(key)}unknown key {key}{_nearest(key, _TOP_LEVEL)}",
                hint="settings stand in a profile, as in [profiles.default]",
            )
    tables = file.tables.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(f"{file.path}: profiles must be tables, as in [profiles.default]")


def _flatten(table: Mapping[str, Any], file: ConfigFile, profile: str) -> Iterable[tuple[str, object]]:
    for name, value in table.items():
        if name not in sections():
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            where = file.place_of("profiles", profile, name)
            raise ConfigurationError(
                f"{file.path}: {where}{name} must be a table", hint=f"as in [profiles.{profile}.{name}]"
            )


def _literal_secret(file: ConfigFile) -> str | None:
    """Return the first key of any profile under which a secret itself is written."""
    for profile, table in file.profiles.items():
        for key, field in leaves().items():
            section, _, name = key.rpartition(".")
            inner = table.get(section) if isinstance(table, dict) else None
            text = inner.get(name) if isinstance(inner, dict) else None
            kind = _secret_kind(field.annotation)
            texts = text if isinstance(text, list) else [text]
            if kind and any(kind(each).is_literal_secret for each in texts if isinstance(each, str)):
                return f"profiles.{profile}.{key}"
    return None


def _secret_kind(annotation: object) -> type[Secret] | None:
    """The kind of secret that a key holds, be it one or a list of them."""
    inner = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    return inner if isinstance(inner, type) and issubclass(inner, Secret) else None


def _nearest(key: str, known: Iterable[str]) -> str:
    candidates = list(known)
    near = difflib.get_close_matches(key, candidates, n=1, cutoff=0.5)
    if not near:  # perhaps right, but in the wrong table
        near = [other for other in candidates if other.rpartition(".")[2] == key.rpartition(".")[2]]
    return f"; did you mean {near[0]}?" if near else ""


def _unquoted(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
