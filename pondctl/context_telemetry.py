"""What is told of a command when it ends, and of a worker while it works: alerts, metrics, notifications.

None of it may spoil the work: whatever fails here is said once and left at that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pondctl.errors import DatabaseUnavailableError, ExitCode, PondctlError
from pondctl.models import EMBEDDED_QUEUE
from pondctl.telemetry import metrics
from pondctl.telemetry.logger import Logger

if TYPE_CHECKING:
    from pondctl.clients.queue import QueueDepth
    from pondctl.clients.tokens import TokenStore
    from pondctl.context import AppContext
    from pondctl.services.alerting.facts import DeadQueue
    from pondctl.services.alerting.gauges import Gauges
    from pondctl.services.alerting.watch import AlertWatch, OpenAlert

_WELL: Final = (ExitCode.OK, ExitCode.WAITING)
_NOT_BEGUN: Final = (ExitCode.USAGE, ExitCode.BUSY, ExitCode.DECLINED)
_WRITE_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 60.0
# How long the end of a command waits for notifications under way; what did not go out, the next one sends.
_NOTICE_SECONDS: Final = 10.0


class TelemetryContext:
    """Alerts, metrics and notifications of one process."""

    def __init__(self, app: AppContext) -> None:
        self._app = app
        self._began = time.monotonic()
        self._write_due = self._look_due = 0.0
        self._is_worker = False
        self._warned: set[str] = set()
        self._sending: threading.Thread | None = None

    def end(self, command: str, code: int, trouble: PondctlError | None) -> None:
        """The command has ended with this code, and has told so. Never raises, and ends soon.

        Where nothing was begun nothing is to be seen, and a database that is away is not waited for again.
        """
        away = isinstance(trouble, DatabaseUnavailableError)
        if not away and (self._is_worker or code not in _NOT_BEGUN):
            with self._harmless("alerts"):
                self._sign_off()
                self._watch(ask_sqs=False)
            self._notify()
        now = time.time()
        metrics.count("pondctl_exits_total", command=command, code=int(code))
        metrics.note("pondctl_last_end_timestamp_seconds", now, command=command)
        metrics.note("pondctl_last_duration_seconds", time.monotonic() - self._began, command=command)
        if code in _WELL:
            metrics.note("pondctl_last_success_timestamp_seconds", now, command=command)
        if self._write_due:
            # A worker that ended in order is no dead one; another one of this host soon says that it lives.
            metrics.forget("pondctl_worker_loop_timestamp_seconds")
        if self._sending is not None:
            self._sending.join(_NOTICE_SECONDS)
        self._write()

    def tick(self) -> None:
        """A worker's loop has come round; most of the time there is nothing to do. Never raises."""
        now = time.monotonic()
        if now >= self._look_due:
            self._look_due = now + _LOOK_SECONDS
            with self._harmless("alerts"):
                self._live()
                self._watch(ask_sqs=True)
            self._notify()
        if now >= self._write_due:
            self._write_due = now + _WRITE_SECONDS
            metrics.note("pondctl_worker_loop_timestamp_seconds", time.time())
            self._write()

    def end_batch(self) -> None:
        """An invocation on Lambda ends; nothing of it goes on afterwards. Never raises."""
        if time.monotonic() >= self._look_due:
            self._look_due = time.monotonic() + _LOOK_SECONDS
            with self._harmless("alerts"):
                self._watch(ask_sqs=False)
            self._notify()
            if self._sending is not None:
                self._sending.join(_NOTICE_SECONDS)
        self._write()

    @cached_property
    def tokens(self) -> TokenStore | None:
        """Where refused logins are counted; None where ThingSpace is not configured, or its secrets cannot
        be read by who only looks."""
        try:
            return self._app.carriers.token_store if self._app.settings.thingspace.client_id else None
        except PondctlError as error:
            self._warn(f"refused logins are not known: {error.message}")
            return None

    @cached_property
    def watch(self) -> AlertWatch:
        """Judges and records alerts."""
        from pondctl.services.alerting.facts import FactReader
        from pondctl.services.alerting.watch import AlertWatch

        app = self._app
        thresholds = app.settings.alerts
        reader = FactReader(app.database, app.queueing.forgotten, thresholds, self.tokens)
        return AlertWatch(app.database, reader, thresholds)

    def look(self, *, ask_sqs: bool) -> tuple[Gauges, list[OpenAlert]]:
        """What there is, and what is wrong. `ask_sqs`: also what SQS knows, which takes a call or two."""
        from pondctl.services.alerting.gauges import read_gauges

        name = self._app.queue_name  # settings that cannot be used are no trouble of the queue
        sqs, dead = self._ask_sqs() if ask_sqs else (None, None)
        alerts = self.watch.look(dead)
        gauges = read_gauges(
            self._app.database,
            name,
            embedded=name == EMBEDDED_QUEUE,
            sqs=sqs,
            unsaved=dead.messages if dead else None,
        )
        return gauges, alerts

    def _ask_sqs(self) -> tuple[QueueDepth | None, DeadQueue | None]:
        from pondctl.services.alerting.facts import DeadQueue

        queueing, sqs, dead = self._app.queueing, None, None
        with self._harmless("the queue"):
            if self._app.queue_name != EMBEDDED_QUEUE:
                sqs = queueing.queue.depth()
        with self._harmless("the dead-letter queue"):
            if queueing.dead_letters is not None:
                found = queueing.dead_letters.attributes()
                messages = found.depth.waiting + found.depth.in_flight
                dead = DeadQueue(queueing.dead_letters.name, messages, found.retention_seconds)
        return sqs, dead

    def _watch(self, *, ask_sqs: bool) -> None:
        from pondctl.services.alerting.gauges import note_gauges

        if not metrics.is_on():
            self.watch.look(self._ask_sqs()[1] if ask_sqs else None)
            return
        gauges, alerts = self.look(ask_sqs=ask_sqs)
        note_gauges(gauges, alerts, self.tokens.load().refused if self.tokens else None)

    def _live(self) -> None:
        from pondctl.services.alerting.workers import replace_dead, sign_of_life

        if not self._is_worker:
            silent = self._app.settings.alerts.worker_seconds
            self._app.database.write(lambda unit: replace_dead(unit, silent))
        self._app.database.write(sign_of_life)
        self._is_worker = True

    def _sign_off(self) -> None:
        if self._is_worker:
            from pondctl.services.alerting.workers import sign_off

            self._app.database.write(sign_off)

    def _notify(self) -> None:
        """Send what is to be told, on a thread that nobody waits for while there is work."""
        busy = self._sending is not None and self._sending.is_alive()
        if busy or not self._app.settings.telemetry.notify:
            return
        self._sending = threading.Thread(target=self._send, name="notices", daemon=True)
        self._sending.start()

    def _send(self) -> None:
        from pondctl.services.alerting.notices import Notices

        with self._harmless("notifications"):
            settings = self._app.settings
            urls = [url.reveal() for url in settings.telemetry.notify]
            Notices(self._app.database, urls, settings.profile, settings.telemetry.notify_changes).send()

    def _write(self) -> None:
        if not metrics.is_on():
            return
        from pondctl.telemetry.metrics_file import add_to_file

        samples = metrics.take()
        path = Path(self._app.settings.telemetry.metrics_file).expanduser()
        try:
            add_to_file(path, samples, profile=self._app.settings.profile)
        except OSError as error:
            metrics.give_back(samples)
            self._warn(f"the metrics file {path} is not written: {error.strerror or error}")

    @contextmanager
    def _harmless(self, what: str) -> Iterator[None]:
        try:
            yield
        except PondctlError as error:
            self._warn(f"{what}: {error.message}")
        except Exception as error:
            from pondctl.telemetry.crash import write_crash_log

            Logger().error("telemetry is broken", part=what, details=str(write_crash_log(error)))

    def _warn(self, text: str) -> None:
        """Once in a process, and in the log: stdout and stderr belong to the command."""
        if text not in self._warned:
            self._warned.add(text)
            Logger().warning("telemetry", trouble=text)
