"""What a command works with: settings, printer, database, clients; each built on first use."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pondctl.context_audit import Admission
from pondctl.errors import PondctlError
from pondctl.models import EMBEDDED_QUEUE, Stop
from pondctl.telemetry import metrics

if TYPE_CHECKING:
    from pondctl.config import Settings
    from pondctl.context_carriers import CarrierContext
    from pondctl.context_queue import QueueContext
    from pondctl.context_telemetry import TelemetryContext
    from pondctl.db.database import Database
    from pondctl.output.console import Output
    from pondctl.services.auditing.trail import Trail
    from pondctl.services.running.actor import Actor
    from pondctl.services.sync_bulk import SyncBulk


class AppContext:
    """One per process. The root options and each command tell it what they were given; then it builds."""

    def __init__(self) -> None:
        self.profile: str | None = None
        self.config_file: Path | None = None
        self.verbose = 0
        self.quiet = False
        self.debug_http = False
        self.log_format = "auto"
        self.workers = 8
        self.dry_run = False
        self.stops_in_order = False
        self.command = ""
        self.trouble: PondctlError | None = None
        self._format: str = "table"
        self._progress = True
        self._overrides: dict[str, object] = {}
        # What settings are read from beside the file; None: the environment.
        self._variables: Mapping[str, str] | None = None
        self._stop = Stop()
        self._opened = ExitStack()
        self.admission = Admission(self)

    def choose(
        self,
        *,
        profile: str | None = None,
        config: Path | None = None,
        verbose: int = 0,
        quiet: bool = False,
        debug_http: bool = False,
    ) -> None:
        """Take the options that stand before or after the subcommand; what stands later wins."""
        self.profile = profile or self.profile
        self.config_file = config or self.config_file
        self.verbose += verbose
        self.quiet = self.quiet or quiet
        self.debug_http = self.debug_http or debug_http

    def use(
        self,
        *,
        output: str | None = None,
        progress: bool = True,
        requests_per_second: float | None = None,
        workers: int = 8,
        dry_run: bool = False,
    ) -> None:
        """Take the shared options of one command; called before anything is built."""
        self.dry_run = dry_run
        self._format = output or self._format
        self._progress = progress
        self.workers = workers
        self.override("thingspace.requests_per_second", requests_per_second)
        self.override("pond.requests_per_second", requests_per_second)
        if self.admission.role != "viewer":
            _ = self.settings  # refuses the role before anything else is looked at

    def override(self, key: str, value: object) -> None:
        """Set a setting from a flag of the command; None leaves it. The policy of the host still binds."""
        if value is not None:
            self._overrides[key] = value

    def ignore_environment(self) -> None:
        """Take the settings from the file alone: whatever else is set here means another database."""
        self._variables = {}

    def start_logging(self, *, service: bool = False) -> None:
        """Send logs to stderr as the options ask for; `service` (a worker) tells the normal flow too."""
        from pondctl.telemetry import exchanges
        from pondctl.telemetry.device_keys import DeviceKeys
        from pondctl.telemetry.identifiers import bind_device_keys, bind_key
        from pondctl.telemetry.logger import start

        as_json = self.log_format == "json" or (self.log_format == "auto" and not sys.stderr.isatty())
        level = logging.INFO if service or self.log_format == "json" else logging.WARNING
        if self.debug_http:
            level = logging.DEBUG
        elif self.quiet:
            level = logging.ERROR
        elif self.verbose:
            level = logging.DEBUG
        exchanges.switch(on=self.debug_http)
        bind_key(self._pseudonym_key)
        # Until a database says more: a pseudonym without a key row could never be forgotten.
        bind_device_keys(DeviceKeys.fresh())
        start(level=level, as_json=as_json)

    @property
    def stop(self) -> Stop:
        """Set when nothing new may be started. Who takes it promises to look at it: from then on the
        first Ctrl-C or SIGTERM only sets it. Before that, at a prompt say, it ends the program at once.
        """
        self.stops_in_order = True
        return self._stop

    def request_stop(self, why: str) -> None:
        """Ask for an orderly stop, from any thread."""
        self._stop.request(why)

    @cached_property
    def output(self) -> Output:
        """The one printer."""
        from pondctl.output.console import Output

        return Output(self._format, quiet=self.quiet, progress=self._progress)

    @cached_property
    def settings(self) -> Settings:
        """The settings in force; raises ConfigurationError."""
        from pondctl.clients.secrets_manager import read_secret
        from pondctl.config import load

        settings = load(
            profile=self.profile,
            config_file=self.config_file,
            environ=self._variables,
            overrides=self._overrides,
            readers={"aws-secretsmanager": read_secret},
        )
        for warning in settings.warnings:
            self.output.warn(warning)
        metrics.switch(on=bool(settings.telemetry.metrics_file))
        settings.require_role(self.admission.role)
        return settings

    @cached_property
    def database(self) -> Database:
        """The host system's database and pondctl's own tables; connects at the first unit of work."""
        from pondctl.db.database import Database

        settings = self.settings
        database = Database.open(
            settings.database_url(),
            state_url=settings.database.state_url.reveal(),
            state_schema=settings.database.state_schema,
            names=settings.database.names,
            service_provider_ids=settings.access.service_provider_ids,
        )
        self._opened.callback(database.close)
        self.admission.opened(database)
        return database

    @cached_property
    def trail(self) -> Trail:
        """The audit trail."""
        return self.admission.trail_of(self.database)

    @property
    def queue_name(self) -> str:
        """Where the next check goes: the embedded queue, or the SQS queue of the settings."""
        url: str = self.settings.queue.url
        return EMBEDDED_QUEUE if url == "database" else url

    @cached_property
    def carriers(self) -> CarrierContext:
        """The clients of both carriers, and what all processes share to call them."""
        from pondctl.context_carriers import CarrierContext

        return CarrierContext(self)

    def actor(self, reason: str | None = None) -> Actor:
        """Who runs this, for the record."""
        from pondctl.services.running.actor import Actor

        return Actor(self.settings.profile, self.trail, reason)

    @cached_property
    def sync_bulk(self) -> SyncBulk:
        """The main job, ready to run."""
        from pondctl.services.sync_bulk import Owners, SyncBulk
        from pondctl.services.syncing.next_check import CheckPolicy

        settings = self.settings
        queue = settings.queue
        return SyncBulk(
            database=self.database,
            thingspace=self.carriers.thingspace,
            actor=self.actor(),
            owners=Owners(
                frozenset(settings.thingspace.service_provider_ids),
                frozenset(settings.pond.service_provider_ids),
            ),
            policy=CheckPolicy(
                pending_deadline_hours=queue.pending_deadline_hours,
                pending_check_seconds=queue.pending_check_seconds,
                max_retries=queue.max_retries,
                retry_base_seconds=queue.retry_base_seconds,
            ),
            queue_name=self.queue_name,
            account=settings.thingspace.account_name,
            stop=self.stop,
            outbox=None if self.dry_run else self.queueing.outbox,
        )

    @cached_property
    def queueing(self) -> QueueContext:
        """The queue, the outbox before it, and what is done with messages."""
        from pondctl.context_queue import QueueContext

        return QueueContext(self)

    def announce(self) -> None:
        """Say on stderr which profile, database, account and distributor are about to be touched."""
        from pondctl.config import database_place

        settings = self.settings
        parts = [f"profile {settings.profile}", f"database {database_place(settings.database_url())}"]
        if settings.thingspace.account_name:
            parts.append(f"ThingSpace account {settings.thingspace.account_name}")
        if settings.pond.distributor_id is not None:
            parts.append(f"POND distributor {settings.pond.distributor_id}")
        self.output.note(", ".join(parts))

    @cached_property
    def telemetry(self) -> TelemetryContext:
        """Alerts, metrics and notifications."""
        from pondctl.context_telemetry import TelemetryContext

        return TelemetryContext(self)

    def tell_end(self, code: int) -> None:
        """Let alerts, metrics and notifications know how a command that works has ended."""
        if not self.dry_run and {"settings", "database"} <= self.__dict__.keys():
            self.telemetry.end(self.command, code, self.trouble)

    def when_closed(self, close: Callable[[], None]) -> None:
        """Call this at the end, before what was opened earlier is closed."""
        self._opened.callback(close)

    def close(self) -> None:
        """Close what was opened, last first."""
        self._opened.close()

    def _pseudonym_key(self) -> bytes:
        from pondctl.telemetry.identifiers import stored_key

        try:
            key = self.settings.telemetry.pseudonym_key.reveal()
        except PondctlError:
            key = ""  # a log line must not fail because the settings do
        return key.encode() if key else stored_key()
