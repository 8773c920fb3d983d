"""What a carrier's answer means for one row of a bulk change. Pure: no network, no database."""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from pondctl.errors import Category, DeviceError
from pondctl.models import (
    Device,
    DeviceChange,
    DeviceOutcome,
    DeviceState,
    Outcome,
    normalize_state,
)
from pondctl.services._change_request import load_request

# The words a host puts into UpdateStatus beside ThingSpace's own states.
_TARGETS = {
    "restore": DeviceState.ACTIVE,
    "terminated": DeviceState.DEACTIVE,
    "inventory": DeviceState.PRE_ACTIVE,
}


class Effect(Enum):
    """What the row gets."""

    NOTHING = auto()
    NUMBER = auto()
    SETTLED = auto()
    FAILED = auto()
    NOTED = auto()


class Verdict(NamedTuple):
    """An outcome and what it does to the row. `changed` is False where the row says so already."""

    outcome: DeviceOutcome
    effect: Effect
    changed: bool = True


class BadRequestError(ValueError):
    """The row's ChangeRequest cannot be understood; the text says why."""


@lru_cache(maxsize=256)  # rows of one bulk change mostly share one request
def target_of(change_request: str | None) -> DeviceState:
    """The state a row asks for: `UpdateStatus` of its ChangeRequest; absent means active.

    Raises `BadRequestError` for text that is no JSON object and for a word that is no state.
    """
    if not change_request or not change_request.strip():
        return DeviceState.ACTIVE
    try:
        request = load_request(change_request)
    except (ValueError, RecursionError):
        raise BadRequestError("ChangeRequest is no JSON") from None
    word = request.get("updatestatus") if isinstance(request, dict) else request
    if isinstance(request, dict) and (word is None or word == ""):
        return DeviceState.ACTIVE
    if not isinstance(word, str):
        raise BadRequestError("ChangeRequest has no readable UpdateStatus")
    target = _TARGETS.get(word.strip().lower()) or normalize_state(word)
    if target is DeviceState.UNKNOWN:
        raise BadRequestError(f"UpdateStatus {word[:40]!r} is no state ThingSpace has")
    return target


def judge_row(change: DeviceChange, iccid: str | None) -> Verdict | None:
    """Decide a row without a call; None when the carrier has to be asked. `iccid`: as it is sent."""
    if change.msisdn:
        return _verdict(change, iccid, Outcome.UNCHANGED, Effect.SETTLED, msisdn=change.msisdn)
    if iccid is None:
        shown = "empty" if not (change.iccid or "").strip() else "no ICCID"
        reason = f"{shown}: 89 and 16 to 20 more digits are needed"
        return _verdict(
            change, None, Outcome.SKIPPED, Effect.FAILED, category=Category.INVALID_ICCID, detail=reason
        )
    try:
        target_of(change.change_request)
    except BadRequestError as error:
        return _verdict(
            change, iccid, Outcome.SKIPPED, Effect.NOTHING, category=Category.GUARDED, detail=str(error)
        )
    return None


def judge_answer(
    change: DeviceChange,
    iccid: str,
    answer: Device | DeviceError,
    *,
    pending_is_over: bool,
    fault: str | None = None,
) -> Verdict:
    """Decide a row by what the carrier says. `pending_is_over`: the deadline for waiting has passed.

    `fault`: the code that an unsigned notification claims. It never fails a row: an old one may come
    again while a new request is under way. Where the state does not contradict it, it is kept beside it.
    """
    if isinstance(answer, DeviceError):
        return judge_error(change, iccid, answer)
    target = target_of(change.change_request)
    state = answer.carrier_state
    if target is not DeviceState.ACTIVE:
        if answer.state is target:
            return _verdict(
                change, iccid, Outcome.DONE, Effect.SETTLED, carrier_state=state, msisdn=answer.msisdn
            )
    elif answer.state is DeviceState.ACTIVE and answer.msisdn:
        return _verdict(change, iccid, Outcome.DONE, Effect.NUMBER, carrier_state=state, msisdn=answer.msisdn)
    doubt = None if state else "the carrier gave no state"
    if answer.state is DeviceState.ACTIVE and target is DeviceState.ACTIVE:
        doubt = f"{state}, no number given yet"
    refusal = _refusal(doubt or state, fault if _may_be_refused(answer.state, target) else None, change)
    doubt = refusal or doubt
    if pending_is_over:
        return exhausted(change, iccid, f"still {doubt or state} at the deadline", carrier_state=state)
    return _verdict(change, iccid, Outcome.PENDING, Effect.NOTED, carrier_state=state, detail=doubt)


def _may_be_refused(state: DeviceState, target: DeviceState) -> bool:
    """Whether the device is where it would be had the carrier refused: neither there nor on its way."""
    return state not in {target, *_ON_THE_WAY}


_ON_THE_WAY = (DeviceState.PENDING_ACTIVATION, DeviceState.PENDING_DEACTIVATION, DeviceState.UNKNOWN)
_FAULT = "; a notification claims the fault "


def _refusal(state: str, fault: str | None, change: DeviceChange) -> str | None:
    """The state with the fault beside it; one that the row has already stays as long as the state does."""
    if fault is not None:
        return f"{state}{_FAULT}{fault}"
    stored = change.status_details
    return stored if stored and stored.startswith(state + _FAULT) else None


def exhausted(change: DeviceChange, iccid: str, reason: str, *, carrier_state: str | None = None) -> Verdict:
    """The row will not be looked at again by itself."""
    return _verdict(
        change,
        iccid,
        Outcome.FAILED,
        Effect.FAILED,
        category=Category.RETRIES_EXHAUSTED,
        carrier_state=carrier_state,
        detail=reason,
    )


def guarded(change: DeviceChange, iccid: str, reason: str) -> Verdict:
    """Something is so odd that the row is left open for a person."""
    return _verdict(change, iccid, Outcome.SKIPPED, Effect.NOTHING, category=Category.GUARDED, detail=reason)


def judge_error(change: DeviceChange, iccid: str, error: DeviceError) -> Verdict:
    """Decide a row by the carrier's refusal to tell: temporary trouble waits, the rest is for good."""
    outcome, effect = (Outcome.DEFERRED, Effect.NOTED) if error.temporary else (Outcome.FAILED, Effect.FAILED)
    return _verdict(
        change,
        iccid,
        outcome,
        effect,
        category=error.category,
        carrier_state=error.carrier_state,
        detail=error.message,
    )


def status_details(outcome: DeviceOutcome) -> str:
    """What `StatusDetails` says of an outcome: the state while waiting, else category and reason."""
    text = outcome.detail or outcome.carrier_state or ""
    return (f"{outcome.category}: {text}" if outcome.category else text)[:500]


def _verdict(
    change: DeviceChange,
    iccid: str | None,
    outcome: Outcome,
    effect: Effect,
    *,
    category: Category | None = None,
    carrier_state: str | None = None,
    msisdn: str | None = None,
    detail: str | None = None,
) -> Verdict:
    decided = DeviceOutcome(
        iccid=iccid or change.iccid or "",
        outcome=outcome,
        category=category,
        carrier_state=carrier_state,
        msisdn=msisdn,
        detail=detail,
        device_change_id=change.id,
    )
    if change.is_processed and effect is not Effect.NUMBER:
        # The host settled this row without an error: it can gain a number and nothing else.
        effect = Effect.NOTHING
    if effect is Effect.NOTED and status_details(decided) == change.status_details:
        return Verdict(decided, Effect.NOTHING, changed=False)
    return Verdict(decided, effect)
