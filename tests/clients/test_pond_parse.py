"""POND's bodies: what is kept, what is None, what is refused."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.clients.pond_api import SHAPES, check_package_id, is_package_id
from pondctl.clients.pond_models import Package, PackageStatus, SimServices
from pondctl.clients.pond_parse import (
    UnreadableError,
    parse_epoch,
    parse_json,
    parse_package,
    parse_page,
    parse_services,
)
from pondctl.clients.pond_refusals import Refusal, find_refusal, hide
from pondctl.errors import UsageError
from tests.clients.pond_world import ICCID, SERVICES, listing, package

values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
json_documents = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_718_000_000, datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
        (1_718_000_000_000, datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
        ("1718000000", datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
        (1_718_000_000.0, datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
        (0, None),
        (-1, None),
        (True, None),
        (None, None),
        ("soon", None),
        ("9" * 4000, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**30, None),
        ({}, None),
    ],
)
def test_times_are_read_in_either_unit_or_not_at_all(value: Any, expected: datetime | None) -> None:
    assert parse_epoch(value) == expected


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"packageId": 17}, "package_id", "17"),
        ({"packageTypeId": "1002"}, "package_type_id", 1002),
        ({"packageTypeId": 1002.0}, "package_type_id", 1002),
        ({"packageTypeId": "gold"}, "package_type_id", None),
        ({"packageTypeId": 10**30}, "package_type_id", None),
        ({"status": "active"}, "status", PackageStatus.ACTIVE),
        ({"status": " Frozen "}, "carrier_status", "Frozen"),
        ({"status": "Frozen"}, "status", PackageStatus.UNKNOWN),
        ({"status": None}, "status", PackageStatus.UNKNOWN),
        ({"status": 3}, "carrier_status", "3"),
        ({"dataUsageRemainingInBytes": 1 << 40}, "data_usage_remaining_in_bytes", 1 << 40),
        ({"dataUsageRemainingInBytes": "x"}, "data_usage_remaining_in_bytes", None),
        ({"simIccid": int(ICCID)}, "iccid", ICCID),
        ({"simIccid": ICCID[:-1]}, "iccid", ICCID),
        ({"simIccid": f"{ICCID}F"}, "iccid", ICCID),
        ({"simIccid": None}, "iccid", ICCID),
    ],
)
def test_a_package_is_read_as_far_as_it_can_be(changes: dict[str, Any], field: str, expected: Any) -> None:
    assert getattr(parse_package(package(**changes), ICCID), field) == expected


@pytest.mark.parametrize("other", ["8910300000000000013", "89", 5, "x", [], ICCID[:-2]])
def test_a_package_of_another_sim_is_refused(other: Any) -> None:
    with pytest.raises(UnreadableError, match="another SIM"):
        parse_package(package(simIccid=other), ICCID)


def test_services_of_another_sim_are_refused() -> None:
    with pytest.raises(UnreadableError, match="another SIM"):
        parse_services(SERVICES | {"iccid": "8910300000000000013"}, ICCID)


def test_a_switch_that_is_neither_on_nor_off_is_not_known() -> None:
    body = {"simDataServiceStatus": "enabled", "simVoiceServiceStatus": "BARRED", "simSmsServiceStatus": None}

    assert parse_services(body, ICCID) == SimServices(data=True, voice=None, sms=None, sim_status=None)


@settings(deadline=None)
@given(st.text(max_size=120))
def test_a_package_id_is_taken_or_refused_as_typed(text: str) -> None:
    if is_package_id(text):
        assert check_package_id(text) == text
        path = SHAPES["devices"].set_package_status.path(ICCID, text)
        assert path.count("/") == 5
    else:
        with pytest.raises(UsageError):
            check_package_id(text)


@settings(deadline=None)
@given(st.binary(max_size=200) | json_documents.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_json_or_unreadable(content: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        parse_json(content)
    refusal = find_refusal(200, content, ["secret"])
    assert refusal is None or refusal.status >= 400


def test_json_nested_without_end_is_unreadable() -> None:
    with pytest.raises(UnreadableError):
        parse_json(b"[" * 200_000)


@settings(deadline=None)
@given(json_documents)
def test_any_document_is_a_record_or_unreadable(document: Any) -> None:
    for parse in (parse_package, parse_page, parse_services):
        try:
            record = parse(document, ICCID)
        except UnreadableError as error:
            record = error
        assert record is not None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(package(dateCreated=1))), json_documents))
def test_any_package_is_a_record_or_unreadable(document: dict[str, Any]) -> None:
    try:
        read = parse_package(document, ICCID)
    except UnreadableError:
        return
    assert isinstance(read, Package)
    assert is_package_id(read.package_id)
    assert len(read.carrier_status) <= 50


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(listing())), json_documents))
def test_any_page_is_a_page_or_unreadable(document: dict[str, Any]) -> None:
    try:
        page = parse_page(document, ICCID)
    except UnreadableError:
        return
    assert page.total >= 0


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"", None),
        (204, b"", None),
        (200, b'{"status": "ACTIVE"}', None),
        (200, b'{"status": 200}', None),
        (200, b'{"status": true}', None),
        (200, b'{"status": 400, "message": "no"}', Refusal(400, "no", is_error_object=True)),
        (200, b'{"status": "404", "message": "no"}', Refusal(404, "no", is_error_object=True)),
        (404, b"", Refusal(404, "", is_error_object=False)),
        (404, b"<html>no</html>", Refusal(404, "", is_error_object=False)),
        (400, b"plain words", Refusal(400, "plain words", is_error_object=False)),
        (
            400,
            b'{"status": 400, "message": "a", "developerMessage": "b"}',
            Refusal(400, "a; b", is_error_object=True),
        ),
        (
            400,
            b'{"status": 400, "message": "a", "developerMessage": "Not Available"}',
            Refusal(400, "a", is_error_object=True),
        ),
        (403, b'{"status": 500, "message": "a"}', Refusal(403, "a", is_error_object=True)),
    ],
)
def test_a_refusal_is_found_wherever_it_stands(status: int, body: bytes, expected: Refusal | None) -> None:
    assert find_refusal(status, body, []) == expected


def test_a_secret_is_hidden_before_the_text_is_cut() -> None:
    body = json.dumps({"status": 400, "message": "x" * 295 + "not-a-real-key"}).encode()

    refusal = find_refusal(400, body, ["not-a-real-key"])

    assert refusal is not None
    assert "not-a" not in refusal.text


def test_what_a_carrier_says_is_one_line_of_visible_characters() -> None:
    assert hide("a\n\x1b[31m b\u202e", []) == "a [31m b"
