"""The frame of a life-cycle run: what may be started, the run itself, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pondctl.clients.pond import PondClient
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import PermissionDeniedError, PondctlError, UsageError, WrongCarrierError
from pondctl.models import Operation, Outcome, RunResult, Stop
from pondctl.services._brake import Brake
from pondctl.services._claiming import Claiming, Providers
from pondctl.services._engine import Engine
from pondctl.services._instructions import Claimed, Ended, Steps
from pondctl.services._journal import Journal
from pondctl.services._life_end import LifeEnd
from pondctl.services._life_request import LifeLimits, LifeRequest, Work
from pondctl.services._next_check import Cause, CheckPolicy
from pondctl.services._rehearse import Rehearsal
from pondctl.services._report import Report
from pondctl.services._run import Actor, Run, claimed_run, new_run_id
from pondctl.services._scope import Scope, lists_of

Begin = Callable[[Work, Claimed], Steps[Ended]]
