from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pondctl.db.scratch import Scratch
from pondctl.models import Device, DeviceState


def device(number: int, state: str = "active", msisdn: str | None = "12015550123") -> Device:
    return Device(f"89{number:018d}", DeviceState.ACTIVE, state, msisdn)


def test_devices_are_found_by_their_iccids() -> None:
    with Scratch() as scratch:
        scratch.add([device(1), device(2, "Pending-Activation", None), device(3)])

        found = scratch.find([device(2).iccid, device(3).iccid, "8999"])

    assert set(found) == {device(2).iccid, device(3).iccid}
    pending = found[device(2).iccid]
    assert (pending.carrier_state, pending.state) == ("Pending-Activation", DeviceState.PENDING_ACTIVATION)
    assert pending.msisdn is None


def test_a_device_that_is_shown_again_counts_once_as_it_was_shown_last() -> None:
    with Scratch() as scratch:
        scratch.add([device(1, "suspend")])
        scratch.add([device(1, "active")])

        assert scratch.count == 1
        assert scratch.find([device(1).iccid])[device(1).iccid].carrier_state == "active"


def opened_files() -> set[str]:
    """Files that this process holds open, by what Linux calls them."""
    found = (os.path.realpath(path) for path in Path("/proc/self/fd").iterdir())
    return {path for path in found if path.startswith("/") and not path.startswith(("/proc/", "/dev/"))}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is open is told by Linux only")
def test_it_lies_in_a_file_that_a_kill_does_not_leave_behind() -> None:
    before = opened_files()
    with Scratch() as scratch:
        # More than it keeps in memory.
        scratch.add(device(number) for number in range(100_000))

        [file] = opened_files() - before
        assert file.endswith(" (deleted)")


@pytest.mark.scale
def test_a_large_account_goes_in_fast() -> None:
    with Scratch() as scratch:
        pages = [[device(page * 2000 + place) for place in range(2000)] for page in range(50)]
        began = time.process_time()
        for page in pages:
            scratch.add(page)
        seconds = time.process_time() - began

        assert scratch.count == 100_000
        assert 100_000 / seconds > 50_000
        assert len(scratch.find([entry.iccid for entry in pages[7]])) == 2000
