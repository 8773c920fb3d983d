"""Secrets: references that are read on first use, in a type that no print, log or document can show."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from pondctl.config.urls import database_passwords, masked_database_url
from pondctl.errors import ConfigurationError
from pondctl.telemetry.redact import register_secret

Reader = Callable[[str], str]
_KINDS = ("env", "file", "keyring", "aws-secretsmanager")
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Sources:
    """Where references are looked up. `readers` are services that the configuration cannot reach itself."""

    environ: Mapping[str, str]
    folder: Path
    readers: Mapping[str, Reader] = field(default_factory=dict)


class Secret:
    """A secret or a reference to one. Only `reveal` gives the value; everything else shows that it is set."""

    def __init__(self, text: str = "") -> None:
        kind, colon, name = text.partition(":")
        self._kind = kind if colon and kind in _KINDS else None
        self._name = name if self._kind else text
        self._value = None if self._kind else text
        self._key = "secret"
        self._sources = Sources({}, Path())
        if self._kind and not name:
            raise ValueError(f"refers to nothing: {kind}: must be followed by a name")
        if kind == "keyring" and self._kind and "/" not in name:
            raise ValueError("must be keyring:SERVICE/NAME")
        self._register()

    def bind(self, key: str, sources: Sources) -> None:
        """Tell which setting this is, and where its reference is looked up."""
        self._key, self._sources = key, sources

    @property
    def reference(self) -> str | None:
        """`env:NAME`, `file:PATH`, …, or None for a literal."""
        return f"{self._kind}:{self._name}" if self._kind else None

    @property
    def is_literal_secret(self) -> bool:
        """Whether the text itself is what must not be read."""
        return bool(self._value) and self._kind is None

    def reveal(self) -> str:
        """Return the value; reads the reference at the first call. Empty where nothing is set."""
        if self._value is None:
            self._value = self._read()
            self._register()
        return self._value

    def describe(self) -> str:
        """What people may see of it."""
        if self._kind:
            return f"(set, from {self.reference})"
        return "(set)" if self._value else "(not set)"

    def _register(self) -> None:
        if self._value:
            register_secret(self._value)

    def _read(self) -> str:
        value = _READERS[self._kind or ""](self._name, self._key, self._sources)
        if not value:
            raise ConfigurationError(f"{self._key}: {self.reference} is empty")
        return value

    def __bool__(self) -> bool:
        return bool(self._kind or self._value)

    def __repr__(self) -> str:
        return self.describe()

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._from_setting, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def _from_setting(cls, value: object) -> Secret:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError("must be text")
        return cls(value)


class DatabaseUrl(Secret):
    """A database URL, or a reference to one: its place may be seen, its password may not."""

    @property
    def is_literal_secret(self) -> bool:
        """A URL with a password in it is a secret; one without is none."""
        return super().is_literal_secret and bool(database_passwords(self._value or ""))

    def describe(self) -> str:
        """The URL with `***` for its password, or the reference."""
        if self._kind is None and self._value:
            return masked_database_url(self._value)
        return super().describe()

    def _register(self) -> None:
        for password in database_passwords(self._value) if self._value else ():
            register_secret(password)


def _from_environment(name: str, key: str, sources: Sources) -> str:
    if name not in sources.environ:
        raise ConfigurationError(f"{key}: the environment variable {name} is not set")
    return sources.environ[name]


def _from_file(name: str, key: str, sources: Sources) -> str:
    path = _find_file(name, sources)
    try:
        with path.open("rb") as file:
            # Asked of the open file, not of the name: the two could differ a moment later.
            if readable_by_others(os.fstat(file.fileno())):
                raise ConfigurationError(
                    f"{key}: others can read {path}", hint=f"chmod 600 {path}, and change the secret"
                )
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigurationError(f"{key}: the file {path} is too long for a secret")
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigurationError(f"{key}: the file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{key}: the file {path} is not UTF-8 text") from None


def _find_file(name: str, sources: Sources) -> Path:
    path = Path(name).expanduser()
    candidates = [sources.folder / path]
    if credentials := sources.environ.get("CREDENTIALS_DIRECTORY"):
        candidates.append(Path(credentials) / path)
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


def readable_by_others(status: os.stat_result) -> bool:
    """Whether anybody but the owner may touch the file; never so where files have no such modes."""
    return os.name == "posix" and bool(stat.S_IMODE(status.st_mode) & 0o077)


def _from_keyring(name: str, key: str, sources: Sources) -> str:
    try:
        import keyring
    except ImportError:
        raise ConfigurationError(
            f"{key}: reading keyring:{name} needs the package keyring",
            hint="pip install 'pondctl[keyring]'",
        ) from None
    service, _, user = name.partition("/")
    try:
        value = keyring.get_password(service, user)
    except Exception as error:  # each backend has its own ways to fail, and any module may be one
        raise ConfigurationError(
            f"{key}: the keyring is not available here ({type(error).__name__})",
            hint="under cron and on servers use file:PATH or env:NAME",
        ) from None
    if value is None:
        raise ConfigurationError(
            f"{key}: the keyring has no entry {name}", hint=f"keyring set {service} {user}"
        )
    return value


def _from_service(name: str, key: str, sources: Sources) -> str:
    reader = sources.readers.get("aws-secretsmanager")
    if reader is None:
        raise ConfigurationError(f"{key}: aws-secretsmanager:{name} cannot be read here")
    return reader(name)


_READERS: dict[str, Callable[[str, str, Sources], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
    "aws-secretsmanager": _from_service,
}
