"""Writes the audit trail: what is not on record is not done."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cached_property

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import PondctlError
from pondctl.services.running.user import user_name
from pondctl.telemetry.audit import MAIN, NOTHING, AuditEntry, AuditKey, Draft, Link, RunChain, Who, spelled
from pondctl.telemetry.audit_head import HeadFile
from pondctl.telemetry.device_keys import DeviceKeys, new_key
from pondctl.telemetry.identifiers import bind_device_keys
from pondctl.telemetry.logger import Logger

_log = Logger()


class Trail:
    """The audit trail of one database, as this process writes it. Safe to share between threads."""

    def __init__(
        self, database: Database, profile: str, read_key: Callable[[], bytes], head: HeadFile
    ) -> None:
        self._database = database
        self._profile = profile
        self._read_key = read_key
        self.head = head
        # Of the runs that this process has begun.
        self.run_ids: list[str] = []
        self._keys_as_of: object = None

    @cached_property
    def key(self) -> AuditKey:
        """What rows are signed with; raises where this host has none and can keep none."""
        return AuditKey(self._read_key())

    @property
    def has_key(self) -> bool:
        """Whether this host has a key, or can make one."""
        try:
            return bool(self.key.id)
        except PondctlError:
            return False

    @cached_property
    def who(self) -> Who:
        """Who runs this process."""
        return Who(user_name(), platform.node(), self._profile).cleaned()

    def append(self, unit: Unit, draft: Draft) -> AuditEntry:
        """Add to the main chain within `unit`. Once that is committed, hand the row to `keep_head`."""
        self._keep_device_keys(unit)
        last = unit.audit_rows.lock_end() or Link(0, NOTHING)
        entry = self.key.add(MAIN, last, draft.cleaned(), self.who, spelled(unit.now()))
        unit.audit_rows.add([entry])
        return entry

    def record(self, make: Callable[[], Draft]) -> None:
        """Add to the main chain in a transaction of its own; raises where that cannot be done.

        `make` is called within it: by then the keys of devices are those of the database.
        """

        def write(unit: Unit) -> AuditEntry:
            self._keep_device_keys(unit)
            return self.append(unit, make())

        self.keep_head(self._database.write(write))

    def try_to_record(self, make: Callable[[], Draft]) -> None:
        """The same after the deed, which is done whether or not this can be written."""
        try:
            self.record(make)
        except PondctlError as error:
            _log.error("the audit trail lacks an outcome", error=error.message)

    def keep_head(self, *entries: AuditEntry) -> None:
        """Remember outside the database where the main chain ends."""
        for entry in entries[-1:]:
            self.head.note(Link(entry.sequence, entry.mac))

    def chain_of(self, begun: AuditEntry) -> RunChain:
        """The chain of a run whose begin is committed."""
        self.keep_head(begun)
        self.run_ids.append(begun.run_id or "")
        return RunChain(self.key, self.who, begun)

    def seal(self, unit: Unit, run_id: str) -> AuditEntry:
        """Say within `unit` where the chain of a dead run ended: nothing may come after that."""
        end = unit.audit_rows.end_of(run_id)
        body = {"rows": end.sequence if end else 0, "last": end.mac if end else None}
        return self.append(unit, Draft("run.abandoned", "", body, run_id))

    def _keep_device_keys(self, unit: Unit) -> None:
        """Use the keys of devices that the database has now; the first to come makes the root."""
        state = unit.device_keys.state()
        if state is None:
            unit.device_keys.add({"": new_key()})
            state = unit.device_keys.state()
        if state != self._keys_as_of:
            bind_device_keys(DeviceKeys(unit.device_keys.all()))
            self._keys_as_of = state


def bind_known_device_keys(unit: Unit) -> None:
    """Use the keys of devices that the database has; none yet: pseudonyms live as long as this process."""
    keys = unit.device_keys.all()
    if keys:
        bind_device_keys(DeviceKeys(keys))
