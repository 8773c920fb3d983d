"""Carrier writes as steps of one device: intent first, read back when the answer is lost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pondctl.clients.pond_models import Package
from pondctl.db.step_records import StepKey, StepKind, StepState
from pondctl.errors import DeviceError
from pondctl.services.lifecycle.instructions import Settle, Steps, Wait, Write, Written
from pondctl.services.lifecycle.read_back import LostWrite, Unproven, find_out, look, pauses, shows

# How often one write is sent at most; between two there is proof, or the same effect twice is harmless.
MOST_SENT: Final = 3


def add_package(
    package_type_id: int, packages: Sequence[Package], settle_seconds: float
) -> Steps[Package | DeviceError | Unproven]:
    """Add one package, however many answers are lost: again only when it is proven absent."""
    error: DeviceError | None = None
    for _ in range(MOST_SENT):
        seen = tuple(package.package_id for package in packages)
        write = Write(StepKind.ADD_PACKAGE, package_type_id=package_type_id, seen=seen)
        written = yield from _send(write)
        if isinstance(written.answer, Package):
            return written.answer
        error = _error(written)
        if not error.answer_lost:
            return error
        found = yield from find_out([LostWrite(written.key, write, settle_seconds)], settle_seconds)
        if isinstance(found, Unproven):
            return found
        added = shows(write, found)
        if added is not None:
            return added
        packages = found
    return _without_effect(error)


def bring_about(write: Write, settle_seconds: float) -> Steps[DeviceError | Unproven | None]:
    """Send a write that may be sent twice, until it is so (None) or the carrier has refused it."""
    lost: list[StepKey] = []
    error: DeviceError | None = None
    for _ in range(MOST_SENT):
        written = yield from _send(write)
        if written.answer is None:
            yield from _settle(lost, StepState.REPEATED)
            return None
        error = _error(written)
        if not error.answer_lost:
            return Unproven(error) if lost else error
        lost.append(written.key)
        so = yield from look(write)
        if isinstance(so, DeviceError):
            return Unproven(so)
        if so:
            yield from _settle(lost, StepState.DONE)
            return None
    return (yield from _wait_for(write, lost, _without_effect(error), settle_seconds))


def _wait_for(
    write: Write, lost: Sequence[StepKey], error: DeviceError, settle_seconds: float
) -> Steps[DeviceError | Unproven | None]:
    """One of several lost writes may be late: look again when none can be any more."""
    for pause in pauses(settle_seconds, settle_seconds):
        yield Wait(pause)
        so = yield from look(write)
        if isinstance(so, DeviceError):
            return Unproven(so)
        if so:
            yield from _settle(lost, StepState.DONE)
            return None
    yield from _settle(lost, StepState.ABSENT)
    return error


def _send(write: Write) -> Steps[Written]:
    answer = yield write
    if isinstance(answer, Written):
        return answer
    raise AssertionError("a write is answered by what became of it")


def _error(written: Written) -> DeviceError:
    if isinstance(written.answer, DeviceError):
        return written.answer
    raise AssertionError("what is accepted is no error, and a package answers only to an add")


_WORDS: Final = {
    StepState.DONE: "read back",
    StepState.REPEATED: "sent again",
    StepState.ABSENT: "read back: it is not so",
}


def _settle(keys: Sequence[StepKey], state: StepState) -> Steps[None]:
    for key in keys:
        yield Settle(key, state, detail=_WORDS[state])


def _without_effect(error: DeviceError | None) -> DeviceError:
    if error is None:
        raise AssertionError("a write is sent at least once")
    return DeviceError(
        f"sent {MOST_SENT} times without an effect: {error.message}", category=error.category, temporary=True
    )
