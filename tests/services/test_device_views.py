"""What `device show` makes of what it was told: words for packages, events in order, contradictions."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from pondctl.db.observations import Observation
from pondctl.db.step_records import DeviceLock, StepKey, StoredStep
from pondctl.services.device_views.timeline import Past, timeline
from pondctl.services.drift.pond_seen import pond_state

NOW = datetime(2026, 11, 23, 8, 0)


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ([], "no package"),
        (["TERMINATED"], "TERMINATED"),
        (["NOT_ACTIVE", "TERMINATED"], "NOT_ACTIVE"),
        (["TERMINATED", "ACTIVE", "NOT_ACTIVE"], "ACTIVE"),
        (["active"], "ACTIVE"),
        (["ACTIVE", "ACTIVE", "NOT_ACTIVE"], "2 ACTIVE"),
        (["BLOCKED"], "BLOCKED"),
        (["BLOCKED", "TERMINATED"], "TERMINATED"),
    ],
)
def test_one_word_stands_for_the_packages(statuses: list[str], word: str) -> None:
    assert pond_state(statuses) == word


def test_events_are_in_order_and_those_without_a_time_are_left_out() -> None:
    seen = Observation("89", "thingspace", "active", "pending activation", "1201", "r1", NOW)
    step = StoredStep(
        1, StepKey("r2", 1), {}, None, "add_package", "activate", "89", "done", None, None, NOW, None
    )
    lock = DeviceLock("89", "lifts", "ann", NOW + timedelta(hours=1))
    log = {
        "ProcessedDate": None,
        "LogEntryDescription": "undated",
        "ErrorText": None,
        "ResponseText": None,
        "BulkChangeId": 1,
    }

    events = timeline(Past(observations=[seen], steps=[step], lock=lock, log=[log]))

    assert [event["kind"] for event in events] == ["lock", "step", "observation"]
    assert events[2]["what"] == "thingspace: pending activation → active"
    assert events[2]["detail"] == "MSISDN 1201"
