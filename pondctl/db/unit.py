"""One unit of work: its connections, and the repositories on them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from pondctl.db.alerts import Alerts
from pondctl.db.audit_rows import AuditRows, DeviceKeyRows
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
from pondctl.db.device_rows import DeviceRows
from pondctl.db.dialects import utcnow
from pondctl.db.driver_errors import Trouble, diagnose
from pondctl.db.engine import WRITING
from pondctl.db.host_tables import HostTables
from pondctl.db.locks import DeviceLocks
from pondctl.db.messages import Messages
from pondctl.db.meta import Meta
from pondctl.db.observations import Observations
from pondctl.db.open_intents import OpenIntents
from pondctl.db.open_work import OpenWork
from pondctl.db.outcomes import Outcomes
from pondctl.db.own_tables import OwnTables
from pondctl.db.package_rows import PackageRows
from pondctl.db.rate_plans import RatePlans
from pondctl.db.report_rows import ReportRows
from pondctl.db.row_counts import RowCounts
from pondctl.db.row_fixes import RowFixes
from pondctl.db.runs import Runs
from pondctl.db.steps import Steps
from pondctl.db.vitals import Vitals


class Unit:
    """Made by `Database`; a repository is built, and a connection taken, when first used."""

    def __init__(
        self,
        host_engine: sa.Engine,
        state_engine: sa.Engine,
        host_tables: HostTables,
        own_tables: OwnTables,
        *,
        writing: bool,
    ) -> None:
        self._host_engine = host_engine
        self._state_engine = state_engine
        self._writing = writing
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

    def commit(self) -> None:
        """Commit the own tables, then the host's."""
        for name in ("state", "host"):
            if name in self.__dict__:
                self.__dict__[name].commit()

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

    @cached_property
    def bulk_changes(self) -> BulkChanges:
        """Headers."""
        return BulkChanges(self.host, self.host_tables)

    @cached_property
    def device_changes(self) -> DeviceChanges:
        """Rows."""
        return DeviceChanges(self.host, self.host_tables)

    @cached_property
    def report_rows(self) -> ReportRows:
        """Rows as a report shows them."""
        return ReportRows(self.host, self.host_tables)

    @cached_property
    def row_counts(self) -> RowCounts:
        """How far the rows are."""
        return RowCounts(self.host, self.host_tables)

    @cached_property
    def bulk_facts(self) -> BulkFacts:
        """What is known of bulk changes beside their rows."""
        return BulkFacts(self.state, self.own_tables)

    @cached_property
    def device_rows(self) -> DeviceRows:
        """All that the host says about one device."""
        return DeviceRows(self.host, self.host_tables)

    @cached_property
    def device_history(self) -> DeviceHistory:
        """All that pondctl has kept about one device."""
        return DeviceHistory(self.state, self.own_tables)

    @cached_property
    def chosen_rows(self) -> ChosenRows:
        """Rows picked one by one."""
        return ChosenRows(self.host, self.host_tables)

    @cached_property
    def change_log(self) -> ChangeLog:
        """The host's step log."""
        return ChangeLog(self.host, self.host_tables)

    @cached_property
    def runs(self) -> Runs:
        """Runs and their leases."""
        return Runs(self.state, self.own_tables)

    @cached_property
    def claims(self) -> Claims:
        """Which run works on which device."""
        return Claims(self.state, self.own_tables)

    @cached_property
    def steps(self) -> Steps:
        """The journal of carrier writes."""
        return Steps(self.state, self.own_tables)

    @cached_property
    def locks(self) -> DeviceLocks:
        """Devices that are never terminated."""
        return DeviceLocks(self.state, self.own_tables)

    @cached_property
    def rate_plans(self) -> RatePlans:
        """The host's packages."""
        return RatePlans(self.host, self.host_tables)

    @cached_property
    def compared_rows(self) -> ComparedRows:
        """Rows, as they are held against other places."""
        return ComparedRows(self.host, self.host_tables)

    @cached_property
    def row_fixes(self) -> RowFixes:
        """Rows, mended while they say what was seen."""
        return RowFixes(self.host, self.host_tables)

    @cached_property
    def package_rows(self) -> PackageRows:
        """The host's packages, row by row."""
        return PackageRows(self.host, self.host_tables)

    @cached_property
    def open_intents(self) -> OpenIntents:
        """Carrier writes whose answer is not known."""
        return OpenIntents(self.state, self.own_tables)

    @cached_property
    def device_checks(self) -> DeviceChecks:
        """When devices were last held against their carrier."""
        return DeviceChecks(self.state, self.own_tables)

    @cached_property
    def outcomes(self) -> Outcomes:
        """What runs decided about devices."""
        return Outcomes(self.state, self.own_tables)

    @cached_property
    def observations(self) -> Observations:
        """How the states of devices changed."""
        return Observations(self.state, self.own_tables)

    @cached_property
    def messages(self) -> Messages:
        """Outbox and embedded queue."""
        return Messages(self.state, self.own_tables)

    @cached_property
    def deliveries(self) -> Deliveries:
        """What is known of messages by their own key."""
        return Deliveries(self.state, self.own_tables)

    @cached_property
    def open_work(self) -> OpenWork:
        """Which bulk changes have work left."""
        return OpenWork(self.host, self.host_tables)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The inbox of dead messages."""
        return DeadLetters(self.state, self.own_tables)

    @cached_property
    def alerts(self) -> Alerts:
        """What was raised and resolved."""
        return Alerts(self.state, self.own_tables)

    @cached_property
    def vitals(self) -> Vitals:
        """What alerts and `status` are judged by."""
        return Vitals(self.state, self.own_tables)

    @cached_property
    def audit(self) -> AuditRows:
        """Who did what."""
        return AuditRows(self.state, self.own_tables)

    @cached_property
    def device_keys(self) -> DeviceKeyRows:
        """What the pseudonyms of devices are made with."""
        return DeviceKeyRows(self.state, self.own_tables)

    @cached_property
    def meta(self) -> Meta:
        """Small facts that outlive a run."""
        return Meta(self.state, self.own_tables)


_BREAKING = frozenset({Trouble.TIMEOUT, Trouble.CONNECTION})
