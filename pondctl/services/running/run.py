"""A run: its row, its lease, its heartbeat, and how it ends."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from pondctl.db.database import Database
from pondctl.db.records import NewRun, RunRecord
from pondctl.db.runs import ABANDONED, RUNNING
from pondctl.db.unit import Unit
from pondctl.errors import (
    InterruptedRunError,
    PondctlError,
    RunLostError,
    TerminatedRunError,
)
from pondctl.models import Outcome, Stop
from pondctl.services.auditing.trail import Trail
from pondctl.services.running.actor import Actor
from pondctl.services.running.measure import measure_run
from pondctl.services.running.process import is_alive, this_host
from pondctl.services.running.user import user_name
from pondctl.telemetry.audit import AuditEntry, Draft, Link, RunChain, without_secrets
from pondctl.telemetry.call_times import calls_name, take_calls
from pondctl.telemetry.log_context import in_log_context, log_context
from pondctl.telemetry.logger import Logger

_HEARTBEAT_SECONDS = 10.0
# The lease is 45 s in database time; without a heartbeat for this long it may be somebody else's.
_SILENCE_SECONDS = 35.0
# Logs and alerts hide ten digits as a telephone number, and a spreadsheet rounds 12e34.
_READS_AS_A_NUMBER = re.compile(r"[0-9]{10}|^[0-9]+e[0-9]+$")
_log = Logger()


def new_run_id() -> str:
    """A short random name for a run, in output, logs and `runs show`; never one that reads as a number."""
    while _READS_AS_A_NUMBER.search(name := secrets.token_hex(6)):
        pass
    return name


class Run:
    """A claimed run. Each batch calls `fence` in its own transaction: without a lease it writes nothing."""

    def __init__(self, chain: RunChain, database: Database, stop: Stop) -> None:
        self.run_id = chain.run_id
        self.chain = chain
        self._database = database
        self._stop = stop
        self._over = threading.Event()
        self._began = time.monotonic()
        # What became of devices until now, kept by whoever works: it is told also of a run that breaks off.
        self.counts: Mapping[Outcome, int] = {}

    def fence(self, unit: Unit) -> None:
        """Renew the lease within `unit`; raises `RunLostError` when another run has taken over."""
        if not unit.runs.heartbeat(self.run_id, unit.key) and not self._ended_by(unit):
            self._stop.request("lost")
            raise RunLostError(
                f"run {self.run_id} lost its lease: another run has taken over, or it was cancelled"
            )

    def _ended_by(self, unit: Unit) -> bool:
        """Whether it was this very unit: its own tables were kept, and the host's are to follow."""
        ended = unit.runs.get(self.run_id).state != RUNNING
        return ended and unit.runs.has_kept(unit.key)

    def beating(self, every: float = _HEARTBEAT_SECONDS) -> threading.Thread:
        """Let a thread of its own, on a connection of its own, keep the lease until the run is over."""
        heart = threading.Thread(
            target=in_log_context(self._beat), args=(every,), name="heartbeat", daemon=True
        )
        heart.start()
        return heart

    def _beat(self, every: float) -> None:
        heard = time.monotonic()
        while not self._over.wait(every):
            try:
                alive = self._database.write(self._is_alive)
            except PondctlError as error:
                _log.warning("heartbeat failed", error=error.message)
                alive = time.monotonic() - heard < _SILENCE_SECONDS
            else:
                heard = time.monotonic()
            if not alive:
                self._stop.request("lost")
                return

    def _is_alive(self, unit: Unit) -> bool:
        if unit.runs.heartbeat(self.run_id):
            return True
        # It may have written its own end in this very moment: then nobody has taken over.
        return unit.runs.get(self.run_id).state not in (RUNNING, ABANDONED)

    def end(self) -> None:
        """Stop the heartbeat."""
        self._over.set()

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self._began


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

    Raises `BusyError` when another run holds it, and where the run cannot be put on record. The block
    itself records how it ended well (`unit.runs.finish`, in the transaction of its last effect); an
    exception is recorded here.
    """
    new = _describe(run_id, command, target, actor, arguments)
    with log_context(run_id=run_id, **_item(target)):
        begun = database.write(lambda unit: _claim(unit, new, actor.trail))
        run = Run(actor.trail.chain_of(begun), database, stop)
        heart = run.beating()
        state = "done"
        try:
            yield run
        except BaseException as error:
            state = _END_STATES.get(type(error), "failed")
            _record_end(database, run, state, error)
            raise
        finally:
            run.end()
            heart.join(timeout=5)
            _keep_calls(database, run_id)
            _put_end_on_record(database, run.chain, actor.trail)
            measure_run(database, run_id, command, state=state, seconds=run.seconds, counts=run.counts)


def record_run(
    unit: Unit, *, run_id: str, command: str, actor: Actor, arguments: Mapping[str, object]
) -> None:
    """Keep a run that begins and ends in this very transaction: it needs no lease and no heartbeat."""
    begun = _claim(unit, _describe(run_id, command, None, actor, arguments), actor.trail)
    unit.runs.finish(run_id, "done", {}, None)
    ended = _ended(unit.runs.get(run_id), Link(0, begun.mac))
    actor.trail.append(unit, ended)
    actor.trail.run_ids.append(run_id)


def _claim(unit: Unit, new: NewRun, trail: Trail) -> AuditEntry:
    dead = unit.runs.claim(new, is_alive, unit.key)
    if dead is not None:
        trail.seal(unit, dead)
    body = {"target": new.target, "arguments": without_secrets(new.arguments)}
    return trail.append(unit, Draft("run.begun", new.command, body, new.run_id, new.reason))


def _ended(run: RunRecord, end: Link) -> Draft:
    """Also says where the run's own chain ends, so that nothing can be cut from it."""
    body = {"state": run.state, "counts": dict(run.counts), "error": run.error}
    return Draft(
        "run.ended",
        run.command,
        {**without_secrets(body), "rows": end.sequence, "last": end.mac},
        run.run_id,
        run.reason,
    )


def _put_end_on_record(database: Database, chain: RunChain, trail: Trail) -> None:
    def write(unit: Unit) -> AuditEntry | None:
        run = unit.runs.get(chain.run_id)
        if run.state == ABANDONED:
            # Who took over has sealed the chain already.
            return None
        unit.runs.mark(chain.run_id, unit.key)
        return trail.append(unit, _ended(run, chain.end))

    try:
        ended = database.write(write)
    except PondctlError as error:
        _log.error("the audit trail lacks the end of a run", run_id=chain.run_id, error=error.message)
    else:
        trail.keep_head(*filter(None, [ended]))


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


def _record_end(database: Database, run: Run, state: str, error: BaseException) -> None:
    text, code = type(error).__name__, "bug"
    if isinstance(error, PondctlError):
        text, code = error.message, error.code
    try:
        database.write(lambda unit: unit.runs.finish(run.run_id, state, run.counts, text, code))
    except PondctlError as trouble:
        # The lease runs out by itself; the trouble that ended the run is the one to tell.
        _log.warning("the end of the run could not be recorded", error=trouble.message)


def _item(target: str | None) -> dict[str, object]:
    kind, _, name = (target or "").partition(":")
    return {"bulk_change_id": name} if kind == "bulk_change" else {}


def _keep_calls(database: Database, run_id: str) -> None:
    calls = take_calls(run_id)
    if not calls:
        return
    try:
        database.write(lambda unit: unit.meta.set(calls_name(run_id), json.dumps(calls)))
    except PondctlError as trouble:
        _log.warning("response times are not kept", error=trouble.message)


_END_STATES: dict[type[BaseException], str] = {
    InterruptedRunError: "interrupted",
    TerminatedRunError: "interrupted",
    RunLostError: "lost",
}
