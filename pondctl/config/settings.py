"""The effective settings of one profile, and the list of all keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr
from pydantic.fields import FieldInfo

from pondctl.config.secrets import Secret
from pondctl.config.sections import (
    ROLES,
    AccessSettings,
    AlertSettings,
    DatabaseSettings,
    LimitSettings,
    PondSettings,
    QueueSettings,
    Role,
    Section,
    TelemetrySettings,
    ThingSpaceSettings,
)
from pondctl.config.urls import has_unchecked_tls
from pondctl.errors import ConfigurationError, PermissionDeniedError


class Settings(Section):
    """The effective settings of one profile. Frozen; `origins` tells where each value came from."""

    protected: bool = Field(
        default=False, description="More than 10 terminations, requeues or discards need --confirm PROFILE"
    )
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    thingspace: ThingSpaceSettings = Field(default_factory=ThingSpaceSettings)
    pond: PondSettings = Field(default_factory=PondSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)

    _profile: str = PrivateAttr("default")
    _file: str | None = PrivateAttr(None)
    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(())

    @property
    def profile(self) -> str:
        """Name of the profile in force."""
        return self._profile

    @property
    def file(self) -> str | None:
        """The file that was read, or None."""
        return self._file

    @property
    def origins(self) -> Mapping[str, str]:
        """Dotted key → flag, environment NAME, file PATH [profiles.x], policy PATH or default."""
        return self._origins

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was ignored, and why; to be shown once."""
        return self._warnings

    def value_of(self, key: str) -> Any:
        """Return the effective value behind a dotted key."""
        value: Any = self
        for part in key.split("."):
            value = getattr(value, part)
        return value

    def database_url(self) -> str:
        """Return the database URL with its password; raises ConfigurationError where there is none."""
        url = self.database.url.reveal()
        if not url:
            raise ConfigurationError(
                f"no database is configured in profile {self.profile}",
                hint="`pondctl demo` shows everything without one; `pondctl config init` writes a file to "
                "fill in; or set PONDCTL_DATABASE__URL",
            )
        for key, each in (("url", url), ("state_url", self.database.state_url.reveal())):
            if self.protected and each.startswith("mssql") and has_unchecked_tls(each):
                raise ConfigurationError(
                    f"database.{key} of the protected profile {self.profile} switches encryption or the "
                    "certificate check off",
                    hint="remove TrustServerCertificate and Encrypt from the URL",
                )
        return url

    def require_role(self, role: Role) -> None:
        """Raise PermissionDeniedError where the role in force may less than this one."""
        if ROLES.index(self.access.role) < ROLES.index(role):
            raise PermissionDeniedError(
                f"this needs the role {role}, and the profile {self.profile} has the role {self.access.role}",
                hint=f"access.role comes from: {self.origins['access.role']}",
            )

    def require(self, *keys: str) -> None:
        """Raise ConfigurationError naming those of the dotted keys that have no value."""
        missing = [key for key in keys if _is_absent(self.value_of(key))]
        if missing:
            raise ConfigurationError(
                f"not configured in profile {self.profile}: {', '.join(missing)}",
                hint="`pondctl config show` prints every setting and where it comes from",
            )


def _is_absent(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, Secret) and not value)


@cache
def leaves() -> Mapping[str, FieldInfo]:
    """Return every key there is, dotted, with its field."""
    return dict(_leaves(Settings, ""))


def sections() -> Mapping[str, type[BaseModel]]:
    """Return the tables of a profile by name."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _leaves(model: type[BaseModel], prefix: str) -> list[tuple[str, FieldInfo]]:
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += _leaves(inner, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", field))
    return found
