"""The tables of a profile: every key with its type, default, bounds and one line of explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from pondctl.config.secrets import DatabaseUrl, Secret
from pondctl.config.urls import carrier_url, queue_url

CarrierUrl = Annotated[str, AfterValidator(carrier_url)]
QueueUrl = Annotated[str, AfterValidator(queue_url)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
SchemaName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
ProviderIds = tuple[Annotated[int, Field(ge=0)], ...]
Rate = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")  # each may what the one before may


class Section(BaseModel):
    """A table of settings: frozen, no unknown keys, and no error that repeats a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DatabaseSettings(Section):
    """The host system's database, and pondctl's own tables."""

    url: DatabaseUrl = Field(
        default_factory=DatabaseUrl,
        description="mssql+pyodbc://… or sqlite:///…, or a reference: it holds a password",
    )
    state_url: DatabaseUrl = Field(
        default_factory=DatabaseUrl, description="Database of pondctl's own tables; empty: the same database"
    )
    state_schema: SchemaName = Field(
        default="pondctl", description="Schema of pondctl's own tables on SQL Server"
    )
    names: dict[str, str] = Field(default={}, description="Tables and columns whose real names are others")

    @field_validator("names", mode="before")
    @classmethod
    def _flatten(cls, names: object) -> object:
        # In TOML an unquoted `M2M_DeviceChange.MSISDN = "…"` is a table inside the table.
        if not isinstance(names, Mapping):
            return names
        flat: dict[str, object] = {}
        for table, value in names.items():
            inner = value.items() if isinstance(value, Mapping) else [("", value)]
            flat |= {f"{table}.{column}".rstrip("."): text for column, text in inner}
        return flat


class ThingSpaceSettings(Section):
    """Verizon ThingSpace."""

    base_url: CarrierUrl = Field(
        default="https://thingspace.verizon.com/api", description="Where ThingSpace answers, without /m2m/v1"
    )
    account_name: str = Field(
        default="", description="Account whose devices are looked at, as 0000123456-00001"
    )
    client_id: str = Field(
        default="", description="Key of the application, as the ThingSpace portal shows it"
    )
    client_secret: Secret = Field(default_factory=Secret, description="Secret of the application")
    username: str = Field(default="", description="User of the session login")
    password: Secret = Field(default_factory=Secret, description="Password of that user")
    requests_per_second: Rate = Field(
        default=5, description="Calls a second, over all processes that share the database"
    )
    service_provider_ids: ProviderIds = Field(
        default=(), description="Service providers whose bulk changes are ThingSpace's; empty: all"
    )
    lookup: Literal["list", "get"] = Field(
        default="list", description='"get" asks GET /devices/{iccid}, for gateways that offer it'
    )


class PondSettings(Section):
    """POND."""

    base_url: CarrierUrl = Field(default="", description="Where POND answers; a path prefix is kept")
    api: Literal["devices", "sim"] = Field(
        default="devices", description='Paths of the API: "devices", or "sim" for the public distributor API'
    )
    distributor_id: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Distributor, a number"
    )
    api_key: Secret = Field(default_factory=Secret, description="Key of the distributor")
    api_key_header: HeaderName = Field(default="x-api-key", description="Header that carries the key")
    username: str = Field(default="", description="User of basic authorisation beside the key, where wanted")
    password: Secret = Field(default_factory=Secret, description="Password of that user")
    write_enabled: bool = Field(
        default=True, description="false: every write is refused before any call, exit 4"
    )
    requests_per_second: Rate = Field(
        default=4, description="Calls a second, over all processes that share the database"
    )
    service_provider_ids: ProviderIds = Field(
        default=(), description="Service providers whose bulk changes are POND's; empty: all"
    )
    settle_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30, description="Seconds before absence of a package proves that it was not added"
    )


class QueueSettings(Section):
    """The queue of next checks."""

    url: QueueUrl = Field(
        default="database", description='URL of an SQS queue, or "database": the embedded queue'
    )
    dead_letter_url: QueueUrl = Field(default="", description="URL of its dead-letter queue")
    endpoint_url: CarrierUrl = Field(default="", description="Another endpoint, for a local SQS server")
    pending_deadline_hours: Seconds = Field(
        default=24, description="Hours after which a pending device is given up"
    )
    # No queue holds a check back for longer than 14 days.
    pending_check_seconds: Annotated[int, Field(ge=1, le=1_209_600)] = Field(
        default=900, description="Seconds between two checks of pending devices"
    )
    max_retries: Annotated[int, Field(ge=0)] = Field(
        default=5, description="Checks without progress before deferred devices are given up"
    )
    retry_base_seconds: Annotated[int, Field(ge=1)] = Field(
        default=60, description="Delay before the first retry; it doubles with each, up to 900"
    )
    require_flag: bool = Field(
        default=True, description="worker: only messages with IsRetryNewActivateThingSpaceDevice"
    )
    accept_writes: bool = Field(default=False, description="worker: take POND life-cycle messages too")
    foreign_url: QueueUrl = Field(default="", description="Queue for valid messages that are not ours")

    @model_validator(mode="after")
    def _queues_differ(self) -> QueueSettings:
        if self.url != "database" and self.url in (self.dead_letter_url, self.foreign_url):
            raise ValueError("url must differ from dead_letter_url and foreign_url")
        if "database" in (self.dead_letter_url, self.foreign_url):
            raise ValueError('dead_letter_url and foreign_url must be URLs; only url may be "database"')
        return self


class TelemetrySettings(Section):
    """Metrics, logs and notifications."""

    metrics_file: str = Field(
        default="", description="Metrics as a text file for the Prometheus node exporter"
    )
    pseudonym_key: Secret = Field(
        default_factory=Secret,
        description="Key of the pseudonyms that stand for devices in logs; empty: one kept on this host",
    )
    audit_key: Secret = Field(
        default_factory=Secret,
        description="Key that signs the audit trail, the same on all hosts; empty: one kept on this host",
    )
    notify: tuple[Secret, ...] = Field(
        default=(), description="Where notifications go: URLs of Apprise, or references to them"
    )
    notify_changes: bool = Field(
        default=True, description="Notify of devices whose status a run has changed, not of alerts alone"
    )


class AlertSettings(Section):
    """When an alert is raised."""

    max_error_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.05, description="Share of failed and unknown devices above which a run is an alert"
    )
    run_minutes: Seconds = Field(default=30, description="Minutes that a bulk operation may take")
    rate_limit_minutes: Seconds = Field(
        default=15, description="Minutes that the alert stays after a carrier said: too many requests"
    )
    dead_letter_hours: Seconds = Field(
        default=24, description="Hours before a dead letter expires from which it is an alert"
    )
    stuck_minutes: Seconds = Field(
        default=60, description="Minutes that a started bulk change may be without a run and without a check"
    )
    worker_seconds: Seconds = Field(
        default=180, description="Seconds without a sign of life after which a worker counts as dead"
    )


class AccessSettings(Section):
    """A safety catch; the boundary is the database login and the carrier keys."""

    role: Role = Field(default="admin", description="viewer looks, operator works, admin may do all")
    service_provider_ids: ProviderIds = Field(
        default=(), description="Service providers that may be worked on; empty: all"
    )


class LimitSettings(Section):
    """How far one run may go."""

    max_terminations_per_run: Annotated[int, Field(ge=0)] = Field(
        default=1000, description="Devices terminated"
    )
    max_replacements_per_run: Annotated[int, Field(ge=0)] = Field(
        default=10_000, description="Packages that activate may end"
    )
    max_error_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.05, description="Share of failed devices above which a run stops (up to 100 devices: half)"
    )
    call_seconds: Seconds = Field(default=15, description="Seconds that one call to a carrier may take")
    outage_seconds: Seconds = Field(
        default=60, description="Seconds without a good answer that end a run, exit 7"
    )
    retention_days: Annotated[int, Field(ge=1)] = Field(
        default=90, description="Days that finished runs are kept"
    )
