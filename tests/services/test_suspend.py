"""The steps of suspend and resume, answer by answer."""

from __future__ import annotations

import pytest

from pondctl.clients.pond_models import SimServices
from pondctl.db.step_records import StepKey, StepKind, StepState
from pondctl.services.lifecycle.instructions import Claimed, Read, Write
from pondctl.services.resume import resume
from pondctl.services.suspend import suspend
from tests.services.steps_driver import BUSY, ICCID, LOST, REFUSED, drive, services, unresolved

ON, OFF = services(True), services(False)


def test_suspend_switches_all_three_off_and_touches_no_package() -> None:
    driven = drive(suspend(ICCID, Claimed(), 30), [ON, None])

    assert driven.outcome == "done"
    [write] = [w for w in driven.asked if isinstance(w, Write)]
    assert write.intent() == {"enabled": False}
    assert Read.PACKAGES not in driven.asked


def test_resume_switches_all_three_on() -> None:
    driven = drive(resume(ICCID, Claimed(), 30), [OFF, None])

    [write] = [w for w in driven.asked if isinstance(w, Write)]
    assert (driven.outcome, write.enabled) == ("done", True)


def test_what_stands_so_already_is_unchanged() -> None:
    driven = drive(suspend(ICCID, Claimed(), 30), [OFF])

    assert (driven.outcome, driven.writes) == ("unchanged", [])


@pytest.mark.parametrize(
    "mixed", [SimServices(True, False, False, None), SimServices(False, None, False, None)]
)
def test_one_switch_that_stands_otherwise_or_is_not_told_is_enough(mixed: SimServices) -> None:
    assert drive(suspend(ICCID, Claimed(), 30), [mixed, None]).outcome == "done"


@pytest.mark.parametrize("word", ["Terminated", "TERMINATED"])
def test_a_terminated_sim_is_named_and_left(word: str) -> None:
    driven = drive(resume(ICCID, Claimed(), 30), [services(False, word)])

    assert (driven.outcome, driven.category, driven.writes) == ("skipped", "invalid_state", [])
    assert "Terminated" in driven.detail


def test_a_lost_answer_is_read_back() -> None:
    driven = drive(suspend(ICCID, Claimed(), 30), [ON, LOST, OFF])

    assert driven.outcome == "done"
    assert driven.settled == [(StepKey("now", 1), StepState.DONE)]


def test_what_did_not_arrive_is_sent_again() -> None:
    driven = drive(suspend(ICCID, Claimed(), 30), [ON, LOST, ON, None])

    assert driven.outcome == "done"
    assert driven.settled == [(StepKey("now", 1), StepState.REPEATED)]


def test_what_cannot_be_read_back_is_unknown() -> None:
    assert drive(suspend(ICCID, Claimed(), 30), [ON, LOST, BUSY]).outcome == "unknown"


def test_a_refusal_after_a_lost_answer_proves_nothing_about_the_lost_one() -> None:
    assert drive(suspend(ICCID, Claimed(), 30), [ON, LOST, ON, REFUSED]).outcome == "unknown"


def test_lost_three_times_is_waited_for_and_then_given_up() -> None:
    driven = drive(suspend(ICCID, Claimed(), 30), [ON, *[LOST, ON] * 3, ON, ON])

    assert driven.outcome == "deferred"
    assert driven.waited >= 30
    assert [state for _, state in driven.settled] == [StepState.ABSENT] * 3


def test_an_earlier_suspend_that_may_come_late_is_waited_for_before_a_resume() -> None:
    known = Claimed((unresolved(StepKind.SET_SERVICES, enabled=False),))

    driven = drive(resume(ICCID, known, 30), [ON, OFF, None])

    assert driven.waited == 30
    assert driven.outcome == "done"
    assert driven.settled == [(StepKey("earlier", 7), StepState.DONE)]


def test_an_earlier_suspend_that_shows_is_not_waited_for() -> None:
    known = Claimed((unresolved(StepKind.SET_SERVICES, enabled=False),))

    driven = drive(resume(ICCID, known, 30), [OFF, None])

    assert driven.waited == 0


def test_packages_of_an_earlier_run_do_not_hold_up_a_suspend() -> None:
    known = Claimed((unresolved(StepKind.ADD_PACKAGE, package_type_id=1, seen=[]),))

    driven = drive(suspend(ICCID, known, 30), [ON, None])

    assert (driven.outcome, driven.waited) == ("done", 0)
