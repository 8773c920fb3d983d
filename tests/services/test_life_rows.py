"""What a row of a POND bulk change asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondctl.models import DeviceChange, Operation
from pondctl.services.lifecycle.request import LifeRequest, Work
from pondctl.services.lifecycle.rows import NO_PACKAGE_TYPE, Wish, judge_row, read_wish

ICCID = "89148000000000000018"


def judge(
    request: object = None,
    operation: Operation = Operation.ACTIVATE,
    iccid: str | None = ICCID,
    **options: Any,
) -> Work:
    text = request if isinstance(request, str) or request is None else json.dumps(request)
    row = DeviceChange(7, 42, iccid, None, "PENDING", None, False, False, change_request=text)
    return judge_row(row, LifeRequest(operation, bulk_change_id=42, **options))


def active(**more: object) -> dict[str, object]:
    return {"UpdateStatus": "Active", "Request": {"PackageTypeId": 1001}, **more}


@pytest.mark.parametrize(
    ("word", "operation"),
    [
        ("Active", Operation.ACTIVATE),
        (" ACTIVE ", Operation.ACTIVATE),
        ("Active", Operation.RESUME),
        ("Suspended", Operation.SUSPEND),
        ("suspended", Operation.SUSPEND),
        ("Terminated", Operation.TERMINATE),
    ],
)
def test_the_word_of_the_row_is_the_command(word: str, operation: Operation) -> None:
    assert judge(active(UpdateStatus=word), operation).refusal is None


@pytest.mark.parametrize(
    ("word", "operation"),
    [
        ("Active", Operation.TERMINATE),
        ("Terminated", Operation.ACTIVATE),
        ("Terminated", Operation.SUSPEND),
        ("Activ", Operation.ACTIVATE),
        ("Actve", Operation.SUSPEND),
        ("deactivate", Operation.TERMINATE),
        ("Inventory", Operation.SUSPEND),
    ],
)
def test_26_another_or_misspelt_word_touches_nothing(word: str, operation: Operation) -> None:
    work = judge(active(UpdateStatus=word), operation)

    assert work.refusal is not None
    assert str(work.refusal[0]) == "guarded"
    assert word.strip().lower() in work.refusal[1]


def test_keys_are_read_without_case_so_that_no_other_wish_is_taken_for_active() -> None:
    request = {"updateStatus": "Terminated", "request": {"packageTypeId": 1001}}

    assert judge(request, Operation.TERMINATE).refusal is None
    assert judge(request, Operation.ACTIVATE).refusal is not None
    assert judge({**active(), "revService": {"createRevService": True}}).refusal is not None


def test_no_word_means_active() -> None:
    assert judge({"Request": {"PackageTypeId": 5}}).refusal is None
    assert judge(None, package_type_id=5).refusal is None
    assert judge({}, Operation.TERMINATE).refusal is not None


@pytest.mark.parametrize(
    ("request_", "option", "wanted"),
    [
        (active(), None, 1001),
        (active(), 1005, 1005),
        ({"UpdateStatus": "Active", "Request": {"PackageTypeId": "1002"}}, None, 1002),
        ({"CarrierRatePlanUpdate": {"RatePlanId": 1003}}, None, 1003),
        ({"Request": {"CarrierRatePlanUpdate": {"RatePlanId": 1004}}}, None, 1004),
        (active(CarrierRatePlanUpdate={"RatePlanId": 1003}), None, 1001),
    ],
)
def test_the_package_type_is_the_options_then_the_requests_then_the_rate_plans(
    request_: object, option: int | None, wanted: int
) -> None:
    assert judge(request_, package_type_id=option).package_type_id == wanted


@pytest.mark.parametrize("value", [None, 0, -1, True, 1.5, "", "x", [], {}])
def test_what_is_no_package_type_names_none(value: object) -> None:
    work = judge({"UpdateStatus": "Active", "Request": {"PackageTypeId": value}})

    assert work.refusal is not None
    assert work.refusal[1] is NO_PACKAGE_TYPE


@pytest.mark.parametrize(
    "billing", [{"RevService": {"CreateRevService": True}}, {"RevServiceProductCreateModel": {"x": 1}}]
)
def test_billing_is_not_done_behind_anybodys_back(billing: dict[str, object]) -> None:
    refused = judge(active(**billing))
    assert refused.refusal is not None
    assert "billing" in refused.refusal[1]

    assert judge(active(**billing), without_billing=True).refusal is None


def test_a_request_without_billing_needs_no_option() -> None:
    more = {"RevService": {"CreateRevService": False}, "RevServiceProductCreateModel": None}

    assert judge(active(**more)).refusal is None


@pytest.mark.parametrize("text", ["{", "[]", "7", '"Active"', '{"UpdateStatus": 7}'])
def test_what_cannot_be_understood_is_left_open(text: str) -> None:
    work = judge(text)

    assert work.refusal is not None
    assert str(work.refusal[0]) == "guarded"


@pytest.mark.parametrize("iccid", [None, "", "89123", "x"])
def test_a_row_without_an_iccid_is_named_as_such(iccid: str | None) -> None:
    work = judge(active(), iccid=iccid)

    assert work.refusal is not None
    assert str(work.refusal[0]) == "invalid_iccid"
    assert work.device_change_ids == (7,)


_keys = st.sampled_from(
    ["UpdateStatus", "Request", "PackageTypeId", "RevService", "CreateRevService", "CarrierRatePlanUpdate"]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


@given(_json.map(json.dumps) | st.text())
def test_no_text_in_a_change_request_is_too_strange(text: str) -> None:
    assert isinstance(read_wish(text), Wish)
