"""Which steps an operation takes on a device."""

from __future__ import annotations

from collections.abc import Callable

from pondctl.models import Operation
from pondctl.services.activate import Activation, activate
from pondctl.services.lifecycle.endings import Allowance
from pondctl.services.lifecycle.instructions import Claimed, Ended, Steps
from pondctl.services.lifecycle.request import LifeLimits, LifeRequest, Work
from pondctl.services.resume import resume
from pondctl.services.suspend import suspend
from pondctl.services.terminate import Termination, terminate

Begin = Callable[[Work, Claimed], Steps[Ended]]


def steps_of(request: LifeRequest, limits: LifeLimits) -> Begin:
    """What begins a device of this request; packages that activations may end are counted for the run."""
    settle = limits.settle_seconds
    allowance = Allowance(limits.max_replacements)

    def begin_activation(work: Work, known: Claimed) -> Steps[Ended]:
        if work.package_type_id is None:
            raise AssertionError("an activation without a package type is refused before")
        wanted = Activation(work.iccid, work.package_type_id, request.keep_existing, settle)
        return activate(wanted, known, allowance)

    def begin_termination(work: Work, known: Claimed) -> Steps[Ended]:
        return terminate(Termination(work.iccid, request.package_id, settle), known)

    match request.operation:
        case Operation.ACTIVATE:
            return begin_activation
        case Operation.TERMINATE:
            return begin_termination
        case Operation.SUSPEND:
            return lambda work, known: suspend(work.iccid, known, settle)
        case Operation.RESUME:
            return lambda work, known: resume(work.iccid, known, settle)
    raise AssertionError(f"{request.operation} has no steps")
