from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondctl.errors import UsageError
from pondctl.services._since import read_since

NOW = datetime(2026, 11, 23, 8, 0)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2h", NOW - timedelta(hours=2)),
        (" 3D ", NOW - timedelta(days=3)),
        ("90 min", NOW - timedelta(minutes=90)),
        ("2026-11-20", datetime(2026, 11, 20)),
        ("2026-11-20T10:00+02:00", datetime(2026, 11, 20, 8)),
        ("2026-11-20T10:00Z", datetime(2026, 11, 20, 10)),
        ("20261120", datetime(2026, 11, 20)),
    ],
)
def test_an_age_or_a_date_is_a_time_in_utc(text: str, since: datetime) -> None:
    assert read_since(text, NOW) == since


@pytest.mark.parametrize(
    "text",
    ["", "h", "2", "0h", "-2h", "2 hours ago", "2026-02-30", "2026-11-23T09:00", "0001-01-01T00:00+23:59"],
)
def test_what_is_neither_and_what_is_to_come_is_usage(text: str) -> None:
    with pytest.raises(UsageError):
        read_since(text, NOW)


@given(st.text(max_size=30))
def test_no_text_crashes_it(text: str) -> None:
    with suppress(UsageError):
        assert read_since(text, NOW) <= NOW
