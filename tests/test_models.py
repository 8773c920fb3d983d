from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondctl.errors import Category, ExitCode
from pondctl.models import (
    DeviceOutcome,
    DeviceState,
    Outcome,
    RunResult,
    Stop,
    luhn_holds,
    normalize_iccid,
    normalize_state,
)

DIGITS = st.text("0123456789", min_size=16, max_size=20).map(lambda rest: "89" + rest)


@given(DIGITS)
def test_an_iccid_is_sent_as_it_is(iccid: str) -> None:
    assert normalize_iccid(iccid) == iccid


@given(DIGITS, st.data())
def test_blanks_dashes_and_one_final_f_are_stripped_and_no_digit_is_lost(
    iccid: str, data: st.DataObject
) -> None:
    spelt = "".join(digit + data.draw(st.sampled_from(["", "", " ", "-", "\t", "\u00a0"])) for digit in iccid)

    assert normalize_iccid(spelt + data.draw(st.sampled_from(["", "F", "f", "F "]))) == iccid


@given(st.text(max_size=30))
def test_any_text_is_an_iccid_or_nothing(text: str) -> None:
    found = normalize_iccid(text)

    assert found is None or re.fullmatch("89[0-9]{16,20}", found)


@given(st.text("0123456789- \tFf\u0661\uff11\u00b2x", max_size=26))
def test_what_looks_like_an_iccid_is_one_or_nothing_and_never_shortened(text: str) -> None:
    found = normalize_iccid(text)

    assert found is None or found == "".join(char for char in text if char in "0123456789")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "89",
        "8" * 20,
        "8914800000123456789FF",
        "89148000001234567",
        "89" + "1" * 21,
        "\uff18\uff19148000001234567890",
        "89148000001234567898\n",
        "+89148000001234567898",
        "F89148000001234567898",
    ],
)
def test_what_is_no_iccid_is_not_mended(text: str | None) -> None:
    assert normalize_iccid(text) is None


def test_the_check_digit_is_luhns() -> None:
    assert luhn_holds("79927398713")
    assert not luhn_holds("79927398710")


@given(DIGITS)
def test_exactly_one_last_digit_holds(iccid: str) -> None:
    assert sum(luhn_holds(iccid[:-1] + digit) for digit in "0123456789") == 1


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("active", DeviceState.ACTIVE),
        (" Active ", DeviceState.ACTIVE),
        ("pending activation", DeviceState.PENDING_ACTIVATION),
        ("PENDING_ACTIVATION", DeviceState.PENDING_ACTIVATION),
        ("suspend", DeviceState.SUSPENDED),
        ("suspended", DeviceState.SUSPENDED),
        ("deactive", DeviceState.DEACTIVE),
        ("deactivated", DeviceState.DEACTIVE),
        ("pre-active", DeviceState.PRE_ACTIVE),
        ("preactive", DeviceState.PRE_ACTIVE),
        ("pending-deactivation", DeviceState.PENDING_DEACTIVATION),
        ("activated", DeviceState.UNKNOWN),
        ("", DeviceState.UNKNOWN),
    ],
)
def test_a_carriers_word_is_matched_and_never_guessed(word: str, state: DeviceState) -> None:
    assert normalize_state(word) is state


@given(st.text())
def test_any_word_has_a_state(word: str) -> None:
    assert normalize_state(word) in DeviceState


@pytest.mark.parametrize(
    ("counts", "code", "status"),
    [
        ({}, ExitCode.OK, "success"),
        ({Outcome.DONE: 2, Outcome.UNCHANGED: 1}, ExitCode.OK, "success"),
        ({Outcome.DONE: 2, Outcome.PENDING: 1}, ExitCode.WAITING, "waiting"),
        ({Outcome.DEFERRED: 1}, ExitCode.WAITING, "waiting"),
        ({Outcome.PENDING: 1, Outcome.SKIPPED: 1}, ExitCode.PARTIAL, "partial"),
        ({Outcome.FAILED: 1, Outcome.DEFERRED: 1}, ExitCode.PARTIAL, "partial"),
        ({Outcome.FAILED: 1, Outcome.UNKNOWN: 1}, ExitCode.UNKNOWN, "unknown"),
    ],
)
def test_a_run_exits_with_the_worst_that_holds(
    counts: dict[Outcome, int], code: ExitCode, status: str
) -> None:
    result = RunResult("sync-bulk", "r1", counts)

    assert (result.exit_code, result.status) == (code, status)


def test_a_dry_run_that_could_read_is_no_failure() -> None:
    assert RunResult("sync-bulk", "r1", {Outcome.FAILED: 1}, dry_run=True).exit_code is ExitCode.OK


def test_the_first_reason_to_stop_stands() -> None:
    stop = Stop()
    stop.request("sigterm")
    stop.request("lease_lost")

    assert stop.is_set()
    assert stop.why == "sigterm"


def test_an_outcome_is_a_value() -> None:
    one = DeviceOutcome("891", Outcome.FAILED, Category.NOT_FOUND)

    assert one == DeviceOutcome("891", Outcome.FAILED, Category.NOT_FOUND)
