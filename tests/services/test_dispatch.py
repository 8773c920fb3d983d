"""Each rule of the shared queue, one by one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from pondctl.clients.message import parse
from pondctl.db.deliveries import KnownMessage
from pondctl.db.open_work import KnownBulkChange
from pondctl.models import BulkChange, Carrier
from pondctl.services.queueing.dispatch import Known, Rules, Way, route

NOW = datetime(2026, 11, 23, 12)
THINGSPACE, POND, OTHER = 2, 4, 9
RULES = Rules(frozenset({THINGSPACE}), frozenset({POND}))
FLAGGED = {"IsRetryNewActivateThingSpaceDevice": "True"}


def known(
    provider: int = THINGSPACE, status: str = "PROCESSING", *, left: bool = True, message: str | None = None
) -> Known:
    header = BulkChange(42, provider, None, "StatusUpdate", status, None, None, None)
    row = KnownMessage(message, None, 42, NOW) if message else None
    return Known(KnownBulkChange(header, left, left), row, None, NOW)


def way(
    attributes: dict[str, str],
    facts: Known,
    rules: Rules = RULES,
    *,
    body: str = "x",
    ours: bool = False,
    sent_at: datetime | None = None,
) -> Way:
    message = parse({"BulkChangeId": "42", **attributes}, body)
    return route(message, facts, rules, sent_at=sent_at, ours=ours).way


@pytest.mark.parametrize(
    ("attributes", "provider", "settings", "expected"),
    [
        (FLAGGED, THINGSPACE, {}, Way.SYNC),
        ({"IsFromAutomatedUpdateDeviceStatusLambda": "true"}, THINGSPACE, {}, Way.SYNC),
        ({**FLAGGED, "IsRetryUpdateIdentifier": "True"}, THINGSPACE, {}, Way.SYNC),
        ({}, THINGSPACE, {}, Way.FOREIGN),
        ({}, THINGSPACE, {"require_flag": False}, Way.SYNC),
        ({"IsRetryUpdateIdentifier": "True"}, THINGSPACE, {"require_flag": False}, Way.FOREIGN),
        (FLAGGED, POND, {}, Way.FOREIGN),
        (FLAGGED, POND, {"accept_writes": True}, Way.LIFE_CYCLE),
        ({}, POND, {"accept_writes": True}, Way.LIFE_CYCLE),
        (FLAGGED, OTHER, {"accept_writes": True, "require_flag": False}, Way.FOREIGN),
        (FLAGGED, THINGSPACE, {"allowed": frozenset({POND})}, Way.FOREIGN),
    ],
)
def test_flags_providers_and_settings_decide(
    attributes: dict[str, str], provider: int, settings: dict[str, object], expected: Way
) -> None:
    rules = Rules(RULES.thingspace, RULES.pond, **settings)  # type: ignore[arg-type]

    assert way(attributes, known(provider), rules) is expected


def test_without_provider_settings_everything_is_thingspaces() -> None:
    assert Rules().carrier_of(OTHER) is Carrier.THINGSPACE
    assert Rules(pond=frozenset({POND})).carrier_of(POND) is Carrier.POND
    assert Rules(thingspace=frozenset({THINGSPACE})).carrier_of(OTHER) is None


def test_a_bulk_change_that_does_not_exist_is_dead_but_never_with_anothers_flag() -> None:
    nothing = Known(None, None, None, NOW)

    assert way(FLAGGED, nothing) is Way.DEAD
    assert way({}, nothing) is Way.DEAD
    assert way({"IsRetryUpdateIdentifier": "True"}, nothing) is Way.FOREIGN


@pytest.mark.parametrize("status", ["PROCESSED", "ERROR"])
def test_a_settled_bulk_change_needs_nothing_more(status: str) -> None:
    assert way(FLAGGED, known(status=status, left=False)) is Way.WORKED_OFF
    assert way(FLAGGED, known(status=status)) is Way.SYNC
    assert way(FLAGGED, known(status="PROCESSING", left=False)) is Way.SYNC


def test_what_is_not_ours_is_not_deleted_because_it_is_settled() -> None:
    assert way({}, known(status="PROCESSED", left=False)) is Way.FOREIGN


def test_a_message_that_was_worked_off_is_not_begun_again() -> None:
    assert way(FLAGGED, known(message="done"), ours=True) is Way.WORKED_OFF
    assert way(FLAGGED, known(message="sent"), ours=True) is Way.SYNC


def test_a_message_of_others_whose_copy_is_under_way_has_nothing_to_add() -> None:
    assert way(FLAGGED, known(message="sent")) is Way.WORKED_OFF


@pytest.mark.parametrize(("seconds", "expected"), [(-60, Way.WORKED_OFF), (-2, Way.SYNC), (60, Way.SYNC)])
def test_a_message_older_than_a_check_that_waits_has_nothing_to_add(seconds: int, expected: Way) -> None:
    facts = known()
    waits = Known(facts.bulk_change, None, NOW, NOW)

    assert way(FLAGGED, waits, sent_at=NOW + timedelta(seconds=seconds)) is expected
    assert way(FLAGGED, waits, sent_at=NOW + timedelta(seconds=seconds), ours=True) is Way.SYNC


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3600, Way.NOT_DUE), (3, Way.SYNC), (-60, Way.SYNC), (15 * 86_400, Way.SYNC)]
)
def test_a_check_before_its_time_hops_on(seconds: int, expected: Way) -> None:
    due = (NOW + timedelta(seconds=seconds)).isoformat()
    body = f'{{"pondctl": {{"key": "k-1", "not_before": "{due}Z"}}}}'

    assert way(FLAGGED, known(), body=body, ours=True) is expected
