"""What a SIM's packages call for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.errors import Category
from pondctl.services.lifecycle.packages import (
    ActivationPlan,
    Objection,
    find_added,
    newest_first,
    plan_activation,
    plan_termination,
)
from tests.services.steps_driver import OTHER, WANTED, package


def plan(*packages: Package, keep_others: bool = False) -> ActivationPlan:
    made = plan_activation(packages, WANTED, keep_others=keep_others)
    assert isinstance(made, ActivationPlan), made
    return made


def objection(*packages: Package, keep_others: bool = False) -> Objection:
    made = plan_activation(packages, WANTED, keep_others=keep_others)
    assert isinstance(made, Objection)
    return made


def test_a_sim_without_packages_gets_one() -> None:
    made = plan()

    assert made.adds
    assert made.describe(WANTED) == "add a package of type 1001, activate it"


def test_an_active_one_of_the_type_is_enough() -> None:
    made = plan(package("a"))

    assert made.is_nothing
    assert made.describe(WANTED) == "package a (type 1001) is ACTIVE"


def test_terminated_ones_are_as_good_as_none() -> None:
    assert plan(package("a", status="TERMINATED")).adds


def test_the_newest_of_the_idle_ones_is_used_and_the_others_are_named() -> None:
    old, new = package("old", status="NOT_ACTIVE", age_days=9), package("new", status="NOT_ACTIVE")

    made = plan(old, new)

    assert (made.use, made.left, made.adds) == (new, (old,), False)
    assert "old" in made.describe(WANTED)


def test_other_active_ones_are_ended() -> None:
    made = plan(package("a", OTHER), package("b", OTHER, "NOT_ACTIVE"))

    assert made.adds
    assert [p.package_id for p in made.end] == ["a"]
    assert [p.package_id for p in made.left] == ["b"]


def test_they_stay_where_that_is_asked_for() -> None:
    made = plan(package("a", OTHER), keep_others=True)

    assert made.end == ()
    assert [p.package_id for p in made.left] == ["a"]


def test_of_two_active_ones_of_the_type_the_older_is_ended_and_named() -> None:
    made = plan(package("old", age_days=5), package("new"))

    assert made.keep is not None
    assert made.keep.package_id == "new"
    assert [p.package_id for p in made.end] == ["old"]
    assert "end package old" in made.describe(WANTED)


def test_of_two_active_ones_of_the_type_none_can_be_kept_beside_the_other() -> None:
    refused = objection(package("old", age_days=5), package("new"), keep_others=True)

    assert refused.category is Category.INVALID_STATE
    assert "old" in refused.detail
    assert "new" in refused.detail


def test_a_status_nobody_knows_is_not_guessed() -> None:
    refused = objection(package("odd", status="SUSPENDED"))

    assert refused.category is Category.INVALID_STATE
    assert "SUSPENDED" in refused.detail


def test_a_type_that_cannot_be_read_may_be_the_wanted_one() -> None:
    assert objection(package("odd", None)).category is Category.INVALID_STATE


def test_what_is_odd_does_not_matter_beside_an_active_one_of_the_type() -> None:
    made = plan(package("a"), package("odd", status="SUSPENDED"))

    assert made.is_nothing
    assert [p.package_id for p in made.left] == ["odd"]


def test_a_termination_ends_all_that_is_not_over() -> None:
    found = [package("a"), package("b", status="TERMINATED"), package("c", OTHER, "SUSPENDED")]

    ends = plan_termination(found, None)

    assert not isinstance(ends, Objection)
    assert {p.package_id for p in ends} == {"a", "c"}


def test_a_termination_of_one_package_ends_that_one() -> None:
    found = [package("a"), package("b")]

    ends = plan_termination(found, "b")

    assert not isinstance(ends, Objection)
    assert [p.package_id for p in ends] == ["b"]


def test_a_package_the_sim_does_not_have_cannot_be_ended() -> None:
    refused = plan_termination([package("a")], "b")

    assert isinstance(refused, Objection)
    assert refused.category is Category.NOT_FOUND


def test_only_a_new_package_of_the_type_can_be_what_a_lost_call_added() -> None:
    there = [package("old", age_days=1), package("other", OTHER), package("new", age_days=0)]

    assert find_added(there, WANTED, {"old"}) == there[2]
    assert find_added(there, WANTED, {"old", "new"}) is None


packages = st.lists(
    st.builds(
        package,
        st.uuids().map(str),
        st.sampled_from([WANTED, OTHER]),
        st.sampled_from(["ACTIVE", "NOT_ACTIVE", "TERMINATED"]),
        age_days=st.integers(0, 5),
    ),
    max_size=6,
    unique_by=lambda p: p.package_id,
)


@given(packages)
def test_every_plan_leads_to_exactly_one_active_package(found: list[Package]) -> None:
    made = plan(*found)
    chosen = made.keep or made.use

    active = {p.package_id for p in found if p.status is PackageStatus.ACTIVE}
    active -= {p.package_id for p in made.end}
    active.add(chosen.package_id if chosen else "added")

    assert len(active) == 1
    assert chosen is None or chosen.package_type_id == WANTED
    assert made.adds == (not any(p.package_type_id == WANTED and _stands(p) for p in found))


@given(packages)
def test_the_order_of_a_listing_does_not_matter(found: list[Package]) -> None:
    assert newest_first(found) == newest_first(reversed(found))
    assert plan(*found) == plan(*reversed(found))


def _stands(candidate: Package) -> bool:
    return candidate.status is not PackageStatus.TERMINATED
