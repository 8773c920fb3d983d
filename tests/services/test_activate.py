"""The steps of an activation, answer by answer."""

from __future__ import annotations

import pytest

from pondctl.db.step_records import StepKey, StepKind, StepState
from pondctl.errors import DeviceError
from pondctl.services.activate import Activation, activate
from pondctl.services.lifecycle.endings import Allowance
from pondctl.services.lifecycle.instructions import Claimed, Read, Write
from tests.services.steps_driver import (
    BUSY,
    ICCID,
    LOST,
    OTHER,
    REFUSED,
    WANTED,
    Driven,
    Reply,
    drive,
    package,
    unresolved,
)

ADD, START, END = "add_package", "activate_package", "terminate_package"
NEW = package("new", status="NOT_ACTIVE")
OLD = package("old", OTHER, age_days=30)
SETTLE = 30.0


def run(
    *answers: Reply,
    known: Claimed | None = None,
    keep_existing: bool = False,
    allowance: int = 100,
) -> Driven:
    wanted = Activation(ICCID, WANTED, keep_existing, SETTLE)
    return drive(activate(wanted, known or Claimed(), Allowance(allowance)), answers)


def statuses(driven: Driven) -> dict[str, str]:
    assert driven.ended is not None
    assert driven.ended.after is not None
    return {p.package_id: p.carrier_status for p in driven.ended.after}


def test_list_add_activate_are_three_calls() -> None:
    driven = run([], NEW, None)

    assert driven.outcome == "done"
    assert driven.writes == [(ADD, None), (START, "new")]
    assert statuses(driven) == {"new": "ACTIVE"}


def test_the_intent_to_add_names_the_type_and_all_that_was_there() -> None:
    driven = run([OLD], NEW, None, None)

    [add] = [w for w in driven.asked if isinstance(w, Write) and w.kind is StepKind.ADD_PACKAGE]
    assert add.intent() == {"package_type_id": WANTED, "seen": ["old"]}


def test_an_active_package_of_the_type_is_left_alone() -> None:
    driven = run([package("a")])

    assert driven.outcome == "unchanged"
    assert driven.writes == []
    assert statuses(driven) == {"a": "ACTIVE"}


def test_a_package_that_was_added_before_is_used() -> None:
    driven = run([NEW], None)

    assert driven.writes == [(START, "new")]


def test_a_package_that_is_active_at_once_is_not_activated_again() -> None:
    assert run([], package("new")).writes == [(ADD, None)]


def test_others_are_ended_after_the_new_one_is_active() -> None:
    driven = run([OLD, package("older", OTHER, age_days=60)], NEW, None, None, None)

    assert driven.writes == [(ADD, None), (START, "new"), (END, "old"), (END, "older")]
    assert statuses(driven) == {"old": "TERMINATED", "older": "TERMINATED", "new": "ACTIVE"}
    assert "ended packages old" in driven.detail


def test_keep_existing_ends_nothing() -> None:
    driven = run([OLD], NEW, None, keep_existing=True)

    assert driven.writes == [(ADD, None), (START, "new")]
    assert "old" in driven.detail


def test_a_locked_device_that_has_others_is_not_begun() -> None:
    driven = run([OLD], known=Claimed(locked="fire alarm"))

    assert (driven.outcome, driven.category, driven.writes) == ("skipped", "guarded", [])
    assert "fire alarm" in driven.detail
    assert "old" in driven.detail


@pytest.mark.parametrize("keep", [True, False])
def test_a_locked_device_that_loses_nothing_is_activated(keep: bool) -> None:
    driven = run([OLD] if keep else [], NEW, None, known=Claimed(locked="x"), keep_existing=keep)

    assert driven.outcome == "done"


def test_nothing_is_added_when_the_old_ones_may_not_be_ended_any_more() -> None:
    driven = run([OLD], allowance=0)

    assert (driven.outcome, driven.category, driven.writes) == ("skipped", "guarded", [])
    assert "max_replacements_per_run" in driven.detail


def test_the_plan_is_said_before_the_first_write() -> None:
    driven = run([OLD], NEW, None, None)

    first_write = next(i for i, step in enumerate(driven.asked) if isinstance(step, Write))
    assert driven.plans
    assert driven.asked.index(next(p for p in driven.asked if str(p).startswith("Plan"))) < first_write
    assert "add a package of type 1001" in driven.plans[0]
    assert "end package old" in driven.plans[0]


@pytest.mark.parametrize(("error", "outcome"), [(BUSY, "deferred"), (REFUSED, "failed")])
def test_a_listing_that_fails_begins_nothing(error: DeviceError, outcome: str) -> None:
    driven = run(error)

    assert (driven.outcome, driven.category, driven.writes) == (outcome, str(error.category), [])
    assert error.message in driven.detail
    assert driven.ended is not None
    assert driven.ended.after is None


@pytest.mark.parametrize(("error", "outcome"), [(BUSY, "deferred"), (REFUSED, "failed")])
def test_a_refused_add_leaves_all_as_it_was(error: DeviceError, outcome: str) -> None:
    driven = run([OLD], error)

    assert (driven.outcome, driven.writes) == (outcome, [(ADD, None)])
    assert statuses(driven) == {"old": "ACTIVE"}


@pytest.mark.parametrize(("error", "outcome"), [(BUSY, "deferred"), (REFUSED, "failed")])
def test_when_the_new_one_cannot_be_activated_the_old_one_stays_and_the_new_one_is_named(
    error: DeviceError, outcome: str
) -> None:
    driven = run([OLD], NEW, error)

    assert driven.outcome == outcome
    assert driven.writes == [(ADD, None), (START, "new")]
    assert statuses(driven) == {"old": "ACTIVE", "new": "NOT_ACTIVE"}
    assert "new" in driven.detail
    assert error.message in driven.detail


@pytest.mark.parametrize(("error", "outcome"), [(BUSY, "deferred"), (REFUSED, "failed")])
def test_when_an_old_one_cannot_be_ended_two_are_named_and_nothing_is_rolled_back(
    error: DeviceError, outcome: str
) -> None:
    driven = run([OLD, package("older", OTHER, age_days=60)], NEW, None, error, None)

    assert driven.outcome == outcome
    assert statuses(driven) == {"old": "ACTIVE", "older": "TERMINATED", "new": "ACTIVE"}
    assert "new" in driven.detail
    assert "old" in driven.detail
    assert "are ACTIVE together" in driven.detail


def test_a_lost_add_that_shows_at_once_is_adopted() -> None:
    driven = run([OLD], LOST, [OLD, NEW], None, None)

    assert driven.outcome == "done"
    assert driven.writes == [(ADD, None), (START, "new"), (END, "old")]
    assert driven.settled == [(StepKey("now", 1), StepState.DONE)]
    assert driven.waited == 0


def test_a_lost_add_that_comes_late_is_found_and_not_doubled() -> None:
    driven = run([], LOST, [], [NEW], None)

    assert driven.outcome == "done"
    assert driven.writes == [(ADD, None), (START, "new")]
    assert driven.waited == SETTLE


def test_a_lost_add_that_shows_only_in_the_second_listing_is_found() -> None:
    driven = run([], LOST, [], [], [NEW], None)

    assert driven.writes == [(ADD, None), (START, "new")]
    assert driven.waited > SETTLE


def test_only_two_complete_listings_after_the_settle_time_allow_a_second_add() -> None:
    driven = run([], LOST, [], [], [], NEW, None)

    assert driven.outcome == "done"
    assert driven.writes == [(ADD, None), (ADD, None), (START, "new")]
    assert driven.settled == [(StepKey("now", 1), StepState.ABSENT)]
    reads = [i for i, step in enumerate(driven.asked) if step is Read.PACKAGES]
    second = [i for i, step in enumerate(driven.asked) if isinstance(step, Write)][1]
    assert len([i for i in reads if i < second]) == 4


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_lost_add_that_cannot_be_read_back_is_unknown_and_never_sent_again(at: int) -> None:
    listings: list[Reply] = [[], [], []]
    listings = [*listings[:at], BUSY] if at else [BUSY, BUSY]

    driven = run([OLD], LOST, *listings)

    assert (driven.outcome, driven.category) == ("unknown", "carrier_unavailable")
    assert driven.writes == [(ADD, None)]
    assert driven.settled == []


def test_an_add_that_is_lost_again_and_again_is_given_up_with_proof() -> None:
    driven = run([], *[LOST, [], [], []] * 3)

    assert driven.outcome == "deferred"
    assert driven.writes == [(ADD, None)] * 3
    assert [state for _, state in driven.settled] == [StepState.ABSENT] * 3


def test_a_package_of_another_type_is_never_adopted() -> None:
    stranger = package("stranger", OTHER, "NOT_ACTIVE")

    driven = run([], LOST, [stranger], [stranger], [stranger], NEW, None)

    assert driven.writes == [(ADD, None), (ADD, None), (START, "new")]


def test_a_lost_activation_that_shows_is_done() -> None:
    driven = run([NEW], LOST, [package("new")])

    assert driven.outcome == "done"
    assert driven.writes == [(START, "new")]
    assert driven.settled == [(StepKey("now", 1), StepState.DONE)]


def test_a_lost_activation_that_does_not_show_is_sent_again() -> None:
    driven = run([NEW], LOST, [NEW], None)

    assert driven.outcome == "done"
    assert driven.writes == [(START, "new"), (START, "new")]
    assert driven.settled == [(StepKey("now", 1), StepState.REPEATED)]


def test_a_lost_activation_that_cannot_be_read_back_is_unknown() -> None:
    driven = run([OLD, NEW], LOST, BUSY)

    assert driven.outcome == "unknown"
    assert driven.writes == [(START, "new")]
    assert statuses(driven)["old"] == "ACTIVE"


def test_an_activation_lost_three_times_is_waited_for_before_it_is_given_up() -> None:
    driven = run([NEW], *[LOST, [NEW]] * 3, [NEW], [package("new")])

    assert driven.outcome == "done"
    assert driven.waited >= SETTLE


def test_an_earlier_add_is_found_before_anything_is_added() -> None:
    known = Claimed((unresolved(StepKind.ADD_PACKAGE, package_type_id=WANTED, seen=[]),))

    driven = run([NEW], None, known=known)

    assert driven.writes == [(START, "new")]
    assert driven.settled == [(StepKey("earlier", 7), StepState.DONE)]


def test_an_earlier_add_that_does_not_show_is_waited_for_from_its_cut_on() -> None:
    known = Claimed((unresolved(StepKind.ADD_PACKAGE, age=20, package_type_id=WANTED, seen=[]),))

    driven = run([], [], [], NEW, None, known=known)

    assert 10 <= driven.waited < 13
    assert driven.settled == [(StepKey("earlier", 7), StepState.ABSENT)]
    assert driven.writes == [(ADD, None), (START, "new")]


def test_an_earlier_add_that_cannot_be_read_back_stays_unknown_and_nothing_is_sent() -> None:
    known = Claimed((unresolved(StepKind.ADD_PACKAGE, package_type_id=WANTED, seen=[]),))

    driven = run(BUSY, BUSY, known=known)

    assert (driven.outcome, driven.writes, driven.settled) == ("unknown", [], [])


def test_an_earlier_add_of_another_type_is_resolved_and_its_package_left() -> None:
    known = Claimed((unresolved(StepKind.ADD_PACKAGE, package_type_id=OTHER, seen=["old"]),))
    late = package("late", OTHER, "NOT_ACTIVE")

    driven = run([OLD, late], NEW, None, None, known=known)

    assert driven.settled == [(StepKey("earlier", 7), StepState.DONE)]
    assert driven.writes == [(ADD, None), (START, "new"), (END, "old")]
    assert "late" in driven.detail


def test_two_earlier_adds_are_not_both_found_in_one_package() -> None:
    writes = tuple(
        unresolved(StepKind.ADD_PACKAGE, age=100, package_type_id=WANTED, seen=[]) for _ in range(2)
    )

    driven = run([NEW], [NEW], [NEW], None, known=Claimed(writes))

    assert [state for _, state in driven.settled] == [StepState.DONE, StepState.ABSENT]


def test_an_earlier_lost_activation_is_done_also_when_the_package_is_over_by_now() -> None:
    known = Claimed((unresolved(StepKind.ACTIVATE_PACKAGE, package_id="gone"),))

    driven = run([package("gone", status="TERMINATED")], NEW, None, known=known)

    assert driven.settled == [(StepKey("earlier", 7), StepState.DONE)]
    assert driven.waited == 0


def test_switches_are_none_of_its_business() -> None:
    known = Claimed((unresolved(StepKind.SET_SERVICES, enabled=False),))

    driven = run([package("a")], known=known)

    assert driven.outcome == "unchanged"
    assert Read.SERVICES not in driven.asked


def test_a_listing_that_lacks_what_the_database_has_as_active_is_asked_for_again() -> None:
    stands = package("stands")
    known = Claimed(booked=frozenset({"stands"}))

    lagging = run([], [stands], known=known)
    gone = run([OLD], [OLD], NEW, None, None, known=known)

    assert (lagging.outcome, lagging.writes) == ("unchanged", [])
    assert (gone.outcome, gone.waited) == ("done", 2.0)
    assert run([stands], known=known).asked == run([stands]).asked
