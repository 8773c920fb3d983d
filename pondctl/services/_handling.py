"""Does what a message asks for; the worker and the Lambda handler both come in here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from pondctl.clients.callback import CarrierHint
from pondctl.clients.message import CheckMessage, parse_any
from pondctl.clients.queue import OutgoingMessage, Queue, ReceivedMessage
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import ConfigurationError, MessageError, PondctlError, QueueUnavailableError
from pondctl.models import Operation, Stop
from pondctl.services._deliveries import Delivery, bury, copy_later, delivery_of
from pondctl.services._dispatch import Known, Route, Rules, Way, route
from pondctl.services._next_check import Cause, cause_of
from pondctl.services._run_log import RunLog
from pondctl.services._trouble import Handled, after

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Task:
    """A message and what is to be done with it."""

    delivery: Delivery
    route: Route
    hint: CarrierHint | None = None
    seen_at: datetime | None = None


class Runs(Protocol):
    """What runs for a message. Each raises as the command of the same name would."""

    def sync(self, cause: Cause, stop: Stop, report: RunLog) -> None:
        """Run `sync-bulk`."""

    def life_cycle(self, cause: Cause, stop: Stop, report: RunLog) -> Operation | None:
        """Run the POND life cycle that the bulk change asks for."""

    def hint(self, hint: CarrierHint, delivery: Delivery, stop: Stop, report: RunLog) -> None:
        """Look up the devices that a notification names."""


class Handling:
    """Knows the rules of the shared queue; thread-safe. `foreign`: where messages go that are not ours."""

    def __init__(
        self, database: Database, runs: Runs, rules: Rules, *, queue_name: str, foreign: Queue | None
    ) -> None:
        self._database = database
        self._runs = runs
        self._rules = rules
        self._queue_name = queue_name
        self._foreign = foreign
