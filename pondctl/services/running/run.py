"""A run: its row, its lease, its heartbeat, and how it ends."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from pondctl.db.database import Database
from pondctl.db.records import NewRun
from pondctl.db.unit import Unit
from pondctl.errors import (
    InterruptedRunError,
    PondctlError,
    RunLostError,
    TerminatedRunError,
    UnavailableError,
)
from pondctl.models import Stop
from pondctl.telemetry.logger import Logger

_HEARTBEAT_SECONDS = 10.0
# The lease is 45 s in database time; without a heartbeat for this long it may be somebody else's.
_SILENCE_SECONDS = 35.0
_log = Logger()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who runs this, on which profile, and why."""

    profile: str
    reason: str | None = None


def new_run_id() -> str:
    """A short random name for a run, in output, logs and `runs show`."""
    return secrets.token_hex(6)


class Run:
    """A claimed run. Each batch calls `fence` in its own transaction: without a lease it writes nothing."""

    def __init__(self, run_id: str, database: Database, stop: Stop) -> None:
        self.run_id = run_id
        self._database = database
        self._stop = stop
        self._over = threading.Event()

    def fence(self, unit: Unit) -> None:
        """Renew the lease within `unit`; raises `RunLostError` when another run has taken over."""
        if not unit.runs.heartbeat(self.run_id):
            self._stop.request("lost")
            raise RunLostError(
                f"run {self.run_id} lost its lease: another run has taken over, or it was cancelled"
            )

    def keep_alive(self) -> None:
        """Heartbeat until the run is over; on a connection of its own, from a thread of its own."""
        heard = time.monotonic()
        while not self._over.wait(_HEARTBEAT_SECONDS):
            try:
                alive = self._database.write(lambda unit: unit.runs.heartbeat(self.run_id))
            except PondctlError as error:
                _log.warning("heartbeat failed", error=error.message)
                alive = time.monotonic() - heard < _SILENCE_SECONDS
            else:
                heard = time.monotonic()
            if not alive:
                self._stop.request("lost")
                return

    def end(self) -> None:
        """Stop the heartbeat."""
        self._over.set()


@contextmanager
def claimed_run(
    database: Database,
    stop: Stop,
    *,
    run_id: str,
    command: str,
    target: str | None,
    actor: Actor,
    arguments: Mapping[str, object],
) -> Iterator[Run]:
    """Claim `target` for this run and keep the claim alive; release it however the block ends.

    Raises `BusyError` when another run holds it. The block itself records how it ended well
    (`unit.runs.finish`, in the transaction of its last effect); an exception is recorded here.
    """
    new = _describe(run_id, command, target, actor, arguments)
    database.write(lambda unit: unit.runs.claim(new, is_alive))
    run = Run(run_id, database, stop)
    heart = threading.Thread(target=run.keep_alive, name="heartbeat", daemon=True)
    heart.start()
    try:
        yield run
    except BaseException as error:
        _record_end(database, run_id, error)
        raise
    finally:
        run.end()
        heart.join(timeout=5)


def record_run(
    unit: Unit, *, run_id: str, command: str, actor: Actor, arguments: Mapping[str, object]
) -> None:
    """Keep a run that begins and ends in this very transaction: it needs no lease and no heartbeat."""
    unit.runs.claim(_describe(run_id, command, None, actor, arguments), is_alive)
    unit.runs.finish(run_id, "done", {}, None)


def raise_if_stopped(stop: Stop, how_to_go_on: str) -> None:
    """Turn an orderly stop into the exception whose exit code tells why."""
    if not stop.is_set():
        return
    if stop.why == "sigint":
        raise InterruptedRunError("stopped by Ctrl-C; what was in flight is saved", hint=how_to_go_on)
    if stop.why == "sigterm":
        raise TerminatedRunError("stopped by SIGTERM; what was in flight is saved", hint=how_to_go_on)
    if stop.why == "lost":
        raise RunLostError("the lease of this run was lost", hint=how_to_go_on)
    raise UnavailableError(f"stopped: {stop.why}", hint=how_to_go_on)


def is_alive(pid: int, started: float) -> bool:
    """Whether that very process of this host still runs (a reused number is another process)."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _describe(
    run_id: str, command: str, target: str | None, actor: Actor, arguments: Mapping[str, object]
) -> NewRun:
    return NewRun(
        run_id=run_id,
        command=command,
        target=target,
        actor=user_name(),
        host=platform.node(),
        host_key=this_host(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        profile=actor.profile,
        reason=actor.reason,
        arguments=dict(arguments),
    )


def user_name() -> str:
    """Who runs this process, as the operating system says it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for its user id
        return f"uid {os.getuid()}"


def this_host() -> str:
    """What makes a process number comparable: host name, boot, and PID namespace (containers)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux: the minute of the boot is what there is
        boot, namespace = str(int(psutil.boot_time()) // 60), ""
    text = f"{platform.node()}|{boot}|{namespace}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _record_end(database: Database, run_id: str, error: BaseException) -> None:
    text = error.message if isinstance(error, PondctlError) else type(error).__name__
    state = _END_STATES.get(type(error), "failed")
    try:
        database.write(lambda unit: unit.runs.finish(run_id, state, {}, text))
    except PondctlError as trouble:
        # The lease runs out by itself; the trouble that ended the run is the one to tell.
        _log.warning("the end of the run could not be recorded", error=trouble.message)


_END_STATES: dict[type[BaseException], str] = {
    InterruptedRunError: "interrupted",
    TerminatedRunError: "interrupted",
    RunLostError: "lost",
}
