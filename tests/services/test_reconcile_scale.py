"""Many devices: calls, memory and writes stay what they should be.

`PONDCTL_TEST_LONG=1` takes 1,000,000 devices; a short form runs otherwise.
"""

from __future__ import annotations

from math import ceil

import pytest

from tests.benchmarks.reconcile import measure
from tests.long_form import LONG

pytestmark = [pytest.mark.scale, pytest.mark.timeout(3600 if LONG else 300)]

DEVICES = 1_000_000 if LONG else 30_000
PAGE = 2000
MOST_MIB = 250


def test_a_whole_account_is_read_with_one_call_for_each_page_in_flat_memory() -> None:
    tenth, whole = measure(DEVICES // 10), measure(DEVICES)

    for measured in (tenth, whole):
        assert measured["complete"] is True, measured
        assert measured["counts"] == {"nothing_queued": ceil(measured["devices"] / 50_000)}, measured
        assert measured["calls"] == {
            "thingspace.token": 1,
            "thingspace.login": 1,
            "thingspace.page": ceil(measured["devices"] / PAGE),
        }
    assert whole["peak_mib"] <= MOST_MIB, whole
    # Beside it the pages that SQLite may keep of a database which is larger than they are.
    assert whole["peak_mib"] <= 1.1 * tenth["peak_mib"] + 16, (tenth, whole)
    if LONG:
        assert whole["devices_a_second"] >= 10_000, whole


def test_drift_of_a_tenth_of_the_account_is_mended_in_flat_memory() -> None:
    measured = measure(DEVICES // 3, "--apply", "--max-changes", str(DEVICES), wrong=0.1)

    assert measured["exit_code"] == 0, measured
    assert measured["mended"]["msisdn_missing"] > DEVICES // 3 * 0.08
    assert measured["mended"] == measured["counts"]
    assert measured["peak_mib"] <= MOST_MIB, measured
