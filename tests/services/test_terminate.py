"""The steps of a termination, answer by answer."""

from __future__ import annotations

from pondctl.db.step_records import StepKey, StepKind, StepState
from pondctl.services.lifecycle.instructions import Claimed
from pondctl.services.terminate import Termination, terminate
from tests.services.steps_driver import (
    BUSY,
    ICCID,
    LOST,
    OTHER,
    REFUSED,
    Driven,
    Reply,
    drive,
    package,
    unresolved,
)

A, B = package("a"), package("b", OTHER, "NOT_ACTIVE", age_days=3)
END = "terminate_package"


def run(*answers: Reply, package_id: str | None = None, known: Claimed | None = None) -> Driven:
    return drive(terminate(Termination(ICCID, package_id, 30.0), known or Claimed()), answers)


def test_every_package_that_stands_is_ended() -> None:
    driven = run([A, B, package("over", status="TERMINATED")], None, None)

    assert driven.outcome == "done"
    assert driven.writes == [(END, "a"), (END, "b")]
    assert driven.ended is not None
    assert {p.carrier_status for p in driven.ended.after or ()} == {"TERMINATED"}


def test_a_named_package_is_ended_alone() -> None:
    assert run([A, B], None, package_id="b").writes == [(END, "b")]


def test_a_sim_whose_packages_are_over_is_unchanged() -> None:
    driven = run([package("over", status="TERMINATED")])

    assert (driven.outcome, driven.writes) == ("unchanged", [])


def test_a_named_package_that_is_over_is_unchanged() -> None:
    assert run([A, package("over", status="TERMINATED")], package_id="over").outcome == "unchanged"


def test_a_package_the_sim_does_not_have_is_not_found() -> None:
    driven = run([A], package_id="b")

    assert (driven.outcome, driven.category, driven.writes) == ("failed", "not_found", [])


def test_one_that_resists_does_not_save_the_rest_and_is_named() -> None:
    driven = run([A, B], REFUSED, None)

    assert (driven.outcome, driven.category) == ("failed", "carrier_rejected")
    assert driven.writes == [(END, "a"), (END, "b")]
    assert "package a" in driven.detail
    assert "package b" not in driven.detail


def test_not_knowing_outweighs_a_refusal() -> None:
    driven = run([A, B], REFUSED, LOST, BUSY)

    assert driven.outcome == "unknown"


def test_a_lost_end_is_read_back() -> None:
    driven = run([A], LOST, [package("a", status="TERMINATED")])

    assert driven.outcome == "done"
    assert driven.settled == [(StepKey("now", 1), StepState.DONE)]


def test_an_earlier_add_is_resolved_first_so_that_no_package_comes_late() -> None:
    known = Claimed((unresolved(StepKind.ADD_PACKAGE, package_type_id=1001, seen=[]),))

    driven = run([], [A], None, known=known)

    assert driven.waited == 30
    assert driven.writes == [(END, "a")]
