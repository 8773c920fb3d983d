"""One unit of work: its connections, and the repositories on them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa

from pondctl.db.dialects import utcnow
from pondctl.db.driver_errors import Trouble, diagnose
from pondctl.db.engine import WRITING
from pondctl.db.host_tables import HostTables
from pondctl.db.own_tables import OwnTables

if TYPE_CHECKING:
    from pondctl.db.alerts import Alerts
    from pondctl.db.audit_rows import AuditRows
    from pondctl.db.bulk_changes import BulkChanges
    from pondctl.db.bulk_facts import BulkFacts
    from pondctl.db.change_log import ChangeLog
    from pondctl.db.chosen_rows import ChosenRows
    from pondctl.db.claims import Claims
    from pondctl.db.compared_rows import ComparedRows
    from pondctl.db.dead_letters import DeadLetters
    from pondctl.db.deliveries import Deliveries
    from pondctl.db.device_changes import DeviceChanges
    from pondctl.db.device_checks import DeviceChecks
    from pondctl.db.device_history import DeviceHistory
    from pondctl.db.device_keys import DeviceKeyRows
    from pondctl.db.device_rows import DeviceRows
    from pondctl.db.locks import DeviceLocks
    from pondctl.db.messages import Messages
    from pondctl.db.meta import Meta
    from pondctl.db.observations import Observations
    from pondctl.db.open_intents import OpenIntents
    from pondctl.db.open_work import OpenWork
    from pondctl.db.outcomes import Outcomes
    from pondctl.db.package_rows import PackageRows
    from pondctl.db.rate_plans import RatePlans
    from pondctl.db.report_rows import ReportRows
    from pondctl.db.row_counts import RowCounts
    from pondctl.db.row_fixes import RowFixes
    from pondctl.db.runs import Runs
    from pondctl.db.steps import Steps
    from pondctl.db.vitals import Vitals


class _Repository:
    """Loaded and built when first used: a command needs few of them, and all take time."""

    def __init__(self, class_name: str, side: str) -> None:
        self._class_name = class_name
        self._side = side

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, unit: Unit | None, owner: type) -> Any:
        if unit is None:
            return self
        repository = getattr(import_module(f"pondctl.db.{self._name}"), self._class_name)
        tables = unit.host_tables if self._side == "host" else unit.own_tables
        built = unit.__dict__[self._name] = repository(getattr(unit, self._side), tables)
        return built


def _on_host(class_name: str) -> Any:
    return _Repository(class_name, "host")


def _on_state(class_name: str) -> Any:
    return _Repository(class_name, "state")


class Unit:
    """Made by `Database`; a repository is built, and a connection taken, when first used."""

    # Headers.
    bulk_changes: BulkChanges = _on_host("BulkChanges")
    # Rows.
    device_changes: DeviceChanges = _on_host("DeviceChanges")
    # Rows as a report shows them.
    report_rows: ReportRows = _on_host("ReportRows")
    # How far the rows are.
    row_counts: RowCounts = _on_host("RowCounts")
    # What is known of bulk changes beside their rows.
    bulk_facts: BulkFacts = _on_state("BulkFacts")
    # All that the host says about one device.
    device_rows: DeviceRows = _on_host("DeviceRows")
    # All that pondctl has kept about one device.
    device_history: DeviceHistory = _on_state("DeviceHistory")
    # Rows picked one by one.
    chosen_rows: ChosenRows = _on_host("ChosenRows")
    # The host's step log.
    change_log: ChangeLog = _on_host("ChangeLog")
    # Runs and their leases.
    runs: Runs = _on_state("Runs")
    # Which run works on which device.
    claims: Claims = _on_state("Claims")
    # The journal of carrier writes.
    steps: Steps = _on_state("Steps")
    # Devices that are never terminated.
    locks: DeviceLocks = _on_state("DeviceLocks")
    # The host's packages.
    rate_plans: RatePlans = _on_host("RatePlans")
    # Rows, as they are held against other places.
    compared_rows: ComparedRows = _on_host("ComparedRows")
    # Rows, mended while they say what was seen.
    row_fixes: RowFixes = _on_host("RowFixes")
    # The host's packages, row by row.
    package_rows: PackageRows = _on_host("PackageRows")
    # Carrier writes whose answer is not known.
    open_intents: OpenIntents = _on_state("OpenIntents")
    # When devices were last held against their carrier.
    device_checks: DeviceChecks = _on_state("DeviceChecks")
    # What runs decided about devices.
    outcomes: Outcomes = _on_state("Outcomes")
    # How the states of devices changed.
    observations: Observations = _on_state("Observations")
    # Outbox and embedded queue.
    messages: Messages = _on_state("Messages")
    # What is known of messages by their own key.
    deliveries: Deliveries = _on_state("Deliveries")
    # Which bulk changes have work left.
    open_work: OpenWork = _on_host("OpenWork")
    # The inbox of dead messages.
    dead_letters: DeadLetters = _on_state("DeadLetters")
    # What was raised and resolved.
    alerts: Alerts = _on_state("Alerts")
    # What alerts and `status` are judged by.
    vitals: Vitals = _on_state("Vitals")
    # Who did what.
    audit_rows: AuditRows = _on_state("AuditRows")
    # What the pseudonyms of devices are made with.
    device_keys: DeviceKeyRows = _on_state("DeviceKeyRows")
    # Small facts that outlive a run.
    meta: Meta = _on_state("Meta")

    def __init__(
        self,
        host_engine: sa.Engine,
        state_engine: sa.Engine,
        host_tables: HostTables,
        own_tables: OwnTables,
        *,
        writing: bool,
        key: str = "",
    ) -> None:
        self._host_engine = host_engine
        self._state_engine = state_engine
        self._writing = writing
        # The same whenever it is redone.
        self.key = key or secrets.token_hex(16)
        self._stack = ExitStack()
        self._opened: list[sa.Connection] = []
        self.later: list[Callable[[Unit], object]] = []
        self.host_tables = host_tables
        self.own_tables = own_tables

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sa.exc.DBAPIError) and diagnose(error).trouble in _BREAKING:
            # After a timeout the driver's connection may be dead without saying so.
            for connection in self._opened:
                connection.invalidate()
        self._stack.close()

    @cached_property
    def host(self) -> sa.Connection:
        """The connection to the host's tables."""
        if self._host_engine is self._state_engine:
            return self.state
        return self._open(self._host_engine)

    @cached_property
    def state(self) -> sa.Connection:
        """The connection to pondctl's own tables."""
        return self._open(self._state_engine)

    def _open(self, engine: sa.Engine) -> sa.Connection:
        connection = self._stack.enter_context(engine.connect().execution_options(**{WRITING: self._writing}))
        self._opened.append(connection)
        return connection

    @property
    def spans_two(self) -> bool:
        """Whether it has written, or may have, to two databases."""
        return "host" in self.__dict__ and self._host_engine is not self._state_engine

    def commit(self, is_kept: Callable[[], bool]) -> None:
        """Commit the own tables, then the host's; those too where only the answer of the first was lost."""
        if "state" in self.__dict__:
            try:
                _commit(self.state)
            except sa.exc.DBAPIError:
                if not self.spans_two or not is_kept():
                    raise
        if self.spans_two:
            _commit(self.host)

    def afterwards(self, work: Callable[[Unit], object]) -> None:
        """Do `work`, on own tables, once the host's changes are safe: here, where they share this
        transaction, else in one of its own after it. Until then a kill leaves it undone."""
        if self._host_engine is self._state_engine:
            work(self)
        else:
            self.later.append(work)

    def now(self) -> datetime:
        """UTC as the database sees it, naive."""
        now: datetime = self.state.execute(sa.select(utcnow())).scalar_one()
        return now


def _commit(connection: sa.Connection) -> None:
    try:
        connection.commit()
    except BaseException:
        # SQLAlchemy takes the transaction for over: it would give the connection back with all that is not
        # committed, and the next one to use it would commit that.
        connection.invalidate()
        raise


_BREAKING = frozenset({Trouble.TIMEOUT, Trouble.CONNECTION})
