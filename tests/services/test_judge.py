"""Every branch of the decision about one row, one line each."""

from __future__ import annotations

import pytest

from pondctl.errors import Category, DeviceError
from pondctl.models import Device, DeviceChange, DeviceOutcome, DeviceState, Outcome, normalize_state
from pondctl.services.syncing.judge import (
    BadRequestError,
    Effect,
    judge_answer,
    judge_row,
    status_details,
    target_of,
)

ICCID = "89148000001234567898"


def row(**changes: object) -> DeviceChange:
    values: dict[str, object] = {
        "id": 7,
        "bulk_change_id": 42,
        "iccid": ICCID,
        "msisdn": None,
        "status": "PENDING",
        "status_details": None,
        "has_errors": False,
        "is_processed": False,
    }
    return DeviceChange(**(values | changes))  # type: ignore[arg-type]


def device(state: str, msisdn: str | None = None) -> Device:
    return Device(iccid=ICCID, state=normalize_state(state), carrier_state=state, msisdn=msisdn)


def refusal(*, temporary: bool, category: Category = Category.CARRIER_REJECTED) -> DeviceError:
    return DeviceError("the carrier's own words", category=category, temporary=temporary)


@pytest.mark.parametrize(
    ("request_text", "answer", "outcome", "effect"),
    [
        (None, device("active", "12015550123"), Outcome.DONE, Effect.NUMBER),
        (None, device("Active", "12015550123"), Outcome.DONE, Effect.NUMBER),
        (None, device("active"), Outcome.PENDING, Effect.NOTED),
        (None, device("pending activation"), Outcome.PENDING, Effect.NOTED),
        (None, device("deactive"), Outcome.PENDING, Effect.NOTED),
        (None, device("suspend", "12015550123"), Outcome.PENDING, Effect.NOTED),
        (None, device("frobnicated"), Outcome.PENDING, Effect.NOTED),
        (None, device(""), Outcome.PENDING, Effect.NOTED),
        ('{"UpdateStatus": "suspend"}', device("suspend"), Outcome.DONE, Effect.SETTLED),
        ('{"UpdateStatus": "Deactive"}', device("deactive"), Outcome.DONE, Effect.SETTLED),
        ('{"UpdateStatus": "suspend"}', device("active", "12015550123"), Outcome.PENDING, Effect.NOTED),
        ('{"UpdateStatus": "restore"}', device("active", "12015550123"), Outcome.DONE, Effect.NUMBER),
        (None, refusal(temporary=False), Outcome.FAILED, Effect.FAILED),
        (None, refusal(temporary=True), Outcome.DEFERRED, Effect.NOTED),
    ],
)
def test_an_answer_means_one_thing(
    request_text: str | None, answer: Device | DeviceError, outcome: Outcome, effect: Effect
) -> None:
    verdict = judge_answer(row(change_request=request_text), ICCID, answer, pending_is_over=False)

    assert (verdict.outcome.outcome, verdict.effect) == (outcome, effect)


def test_waiting_ends_at_the_deadline() -> None:
    verdict = judge_answer(row(), ICCID, device("pending activation"), pending_is_over=True)

    assert verdict.outcome.outcome is Outcome.FAILED
    assert verdict.outcome.category is Category.RETRIES_EXHAUSTED
    assert verdict.effect is Effect.FAILED


def test_an_active_device_is_done_also_after_the_deadline() -> None:
    verdict = judge_answer(row(), ICCID, device("active", "12015550123"), pending_is_over=True)

    assert verdict.outcome.outcome is Outcome.DONE


def test_a_row_the_host_settled_gains_a_number() -> None:
    verdict = judge_answer(
        row(is_processed=True), ICCID, device("active", "12015550123"), pending_is_over=False
    )

    assert verdict.effect is Effect.NUMBER


@pytest.mark.parametrize("answer", [refusal(temporary=False), refusal(temporary=True), device("deactive")])
def test_a_row_the_host_settled_never_turns_to_failed(answer: Device | DeviceError) -> None:
    verdict = judge_answer(row(is_processed=True), ICCID, answer, pending_is_over=True)

    assert verdict.effect is Effect.NOTHING


def test_a_state_that_is_already_noted_is_not_written_again() -> None:
    verdict = judge_answer(
        row(status_details="pending activation"),
        ICCID,
        device("pending activation"),
        pending_is_over=False,
    )

    assert (verdict.effect, verdict.changed) == (Effect.NOTHING, False)


def test_a_row_that_has_a_number_is_settled_without_a_call() -> None:
    verdict = judge_row(row(msisdn="12015550123"), ICCID)

    assert verdict is not None
    assert (verdict.outcome.outcome, verdict.effect) == (Outcome.UNCHANGED, Effect.SETTLED)


def test_a_row_without_an_iccid_is_skipped_and_settled_with_the_reason() -> None:
    verdict = judge_row(row(iccid="12345"), None)

    assert verdict is not None
    assert (verdict.outcome.outcome, verdict.effect) == (Outcome.SKIPPED, Effect.FAILED)
    assert status_details(verdict.outcome).startswith("invalid_iccid: ")


def test_a_good_row_has_to_be_asked_for() -> None:
    assert judge_row(row(), ICCID) is None


@pytest.mark.parametrize("text", ["{", "[1]", '{"UpdateStatus": 5}', '{"UpdateStatus": "explode"}', '"x"'])
def test_a_request_that_cannot_be_understood_is_left_for_a_person(text: str) -> None:
    with pytest.raises(BadRequestError):
        target_of(text)
    verdict = judge_row(row(change_request=text), ICCID)
    assert verdict is not None
    assert (verdict.outcome.category, verdict.effect) == (Category.GUARDED, Effect.NOTHING)


@pytest.mark.parametrize(
    "text", [None, "", "  ", "{}", '{"UpdateStatus": null}', '{"UpdateStatus": "active"}']
)
def test_the_target_is_active_unless_the_request_says_otherwise(text: str | None) -> None:
    assert target_of(text) is DeviceState.ACTIVE


def test_the_details_fit_their_column() -> None:
    outcome = DeviceOutcome(ICCID, Outcome.FAILED, category=Category.CARRIER_REJECTED, detail="x" * 900)

    assert len(status_details(outcome)) == 500


def test_the_target_is_read_whatever_the_case_of_its_key() -> None:
    assert target_of('{"updateStatus": "suspend"}') is DeviceState.SUSPENDED
