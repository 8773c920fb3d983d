from __future__ import annotations

import pytest

from pondctl.errors import Category, UsageError
from pondctl.services.failures.reasons import ALL, DEFAULT, OTHER, as_category, chosen_failures, failure_of


@pytest.mark.parametrize(
    ("details", "kept", "failure"),
    [
        ("network: connection reset", None, "network"),
        ("Network : connection reset", None, "network"),
        ("retries_exhausted: still 'deactive' at the deadline", Category.NETWORK, "retries_exhausted"),
        ("cancelled: asked by the customer", None, "cancelled"),
        ("cancelled by somebody", None, "cancelled"),
        ("Invalid ICCID", Category.NETWORK, OTHER),
        ("networking is hard", None, OTHER),
        (None, Category.DATABASE, "database"),
        ("   ", Category.DATABASE, "database"),
        ("", None, OTHER),
        (None, None, OTHER),
        ("unknown: no category of a row", None, OTHER),
        ("other: neither", None, OTHER),
    ],
)
def test_a_failure_is_read_from_the_row_and_else_from_its_run(
    details: str | None, kept: Category | None, failure: str
) -> None:
    assert failure_of(details, kept) == failure


def test_every_category_that_pondctl_writes_is_read_again() -> None:
    assert all(failure_of(f"{category}: some words", None) == category for category in Category)


def test_nothing_named_takes_what_may_pass_by_itself() -> None:
    assert chosen_failures([], None) == DEFAULT
    assert {"carrier_rejected", "not_found", "guarded", "authentication", OTHER}.isdisjoint(DEFAULT)


def test_all_that_can_be_named_can_be_named_with_a_reason() -> None:
    assert chosen_failures([word.upper() for word in ALL], "because") == set(ALL)


@pytest.mark.parametrize("word", ["", "netwrok", "network,database", "failed", "network: x"])
def test_a_word_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        chosen_failures([word], "because")


def test_each_failure_has_a_category_for_its_outcome() -> None:
    assert {as_category(word) for word in ALL} == set(Category)
