"""A message on its way through a worker: what is to be done with it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pondctl.clients.callback import CarrierHint
from pondctl.errors import PondctlError
from pondctl.services.queueing.deliveries import Delivery
from pondctl.services.queueing.dispatch import Route, Way


class Task(NamedTuple):
    """A message and what is to be done with it. `seen_at`: database time when it was looked at.

    `booked`: the table knows its key, and not yet that it is worked off.
    """

    delivery: Delivery
    route: Route
    hint: CarrierHint | None = None
    seen_at: datetime | None = None
    booked: bool = False

    @property
    def is_run(self) -> bool:
        """Whether it takes a run, and so its time."""
        return self.route.way in (Way.SYNC, Way.LIFE_CYCLE, Way.HINT)


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a message, in one `word`.

    `delete`: its effect is committed, the queue can forget it; else it comes back by itself after
    `back_in_seconds`. `dead`: there is a dead letter now. `ends` is why nothing more should be received.
    """

    task: Task
    word: str
    delete: bool = True
    back_in_seconds: int = 0
    dead: bool = False
    ends: PondctlError | None = None
