"""Hold the newest row of each device against the ThingSpace account, by an ordered merge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from math import ceil
from typing import Final

from pondctl.clients.thingspace import PAGE_SIZE, ThingSpaceClient
from pondctl.errors import Category, DeviceError
from pondctl.models import Device
from pondctl.services.drift.comparison import Comparison
from pondctl.services.drift.device import absent, judge_pair
from pondctl.services.drift.kinds import Drift
from pondctl.services.syncing.ask import ask_all

# From this many devices on, more than half unknown to the carrier smells of a wrong account.
_GUARD_FROM: Final = 20
# Devices that the listing does not show are asked about singly, so many at most: one that exists all the
# same proves that the listing is not whole.
_ASKED_SINGLY: Final = 20
# A listing that is smaller than the last one by more than this is not believed at once.
_SHRUNK: Final = 0.99
# Of an account whose size is not known so many devices are looked up rather than listed.
_LOOKUPS_INSTEAD: Final = 50


@dataclass(slots=True)
class ThingSpaceSide:
    """Reads the account (or, of a few wanted devices, each of them), then compares."""

    comparison: Comparison
    thingspace: ThingSpaceClient
    account: str
    limited: bool
    always_list: bool = False
    listed: int = 0
    is_whole: bool = False
    is_single: bool = False
    known_size: int | None = None

    def run(self) -> None:
        """Nothing is asked where there is no row to hold against the answer."""
        c = self.comparison
        if not (c.rows.count or self.always_list):
            return
        self.known_size = c.database.read(lambda unit: unit.meta.account_size(self.account))
        with c.part():
            if self.limited and not self.always_list and self._is_cheaper_singly():
                self.is_single = True
                self._look_up()
            else:
                self._list()
        c.add(self._differences())
        if c.rows.count_absent():
            with c.part():
                self._judge_absent()

    def _is_cheaper_singly(self) -> bool:
        wanted = self.comparison.rows.count
        if self.known_size is None:
            return wanted <= _LOOKUPS_INSTEAD
        return wanted <= max(1, ceil(self.known_size / PAGE_SIZE))

    def _list(self) -> None:
        c = self.comparison
        c.report.phase("reading the ThingSpace account", self.known_size)
        unreadable = 0
        for page in self.thingspace.iter_pages():
            c.file.add(page.devices)
            self.listed += len(page.devices)
            unreadable += page.unreadable
            c.report.advance(len(page.devices))
            if page.last or c.is_over:
                self.is_whole = page.last
                break
        if not self.is_whole:
            c.cut_short("the ThingSpace account")
        elif c.run is not None:
            c.database.write(lambda unit: unit.meta.set_account_size(self.account, self.listed))
        c.extra["thingspace"] = {"listed": self.listed, "unreadable": unreadable, "whole": self.is_whole}

    def _look_up(self) -> None:
        c = self.comparison
        c.report.phase("asking ThingSpace", c.rows.count)
        asked = unanswered = 0
        wanted = takewhile(lambda _: not c.is_over, c.rows.iccids())
        for answer in ask_all(wanted, self.thingspace.get_device, workers=c.workers, stop=c.stop):
            if answer is None:
                continue
            asked += 1
            if isinstance(answer.value, Device):
                c.file.add([answer.value])
                self.listed += 1
            elif answer.value.category is not Category.NOT_FOUND:
                unanswered += 1
            c.report.advance(1)
        self.is_whole = asked == c.rows.count and not unanswered
        if asked < c.rows.count:
            c.cut_short("ThingSpace")
        if unanswered:
            c.distrust(f"ThingSpace gave no answer about {unanswered:,} devices")
        c.extra["thingspace"] = {"looked_up": asked, "whole": self.is_whole}

    def _differences(self) -> Iterator[Drift]:
        for pair in self.comparison.rows.odd_pairs():
            drift = judge_pair(pair)
            if drift is not None:
                yield drift

    def _judge_absent(self) -> None:
        """Say that devices are missing only where that is certain."""
        c = self.comparison
        if not self.is_whole:
            return
        missing, all_rows = c.rows.count_absent(), c.rows.count
        if missing >= _GUARD_FROM and 2 * missing > all_rows:
            hint = "is thingspace.account_name right?"
            c.distrust(f"{missing:,} of {all_rows:,} devices are not in the ThingSpace account", hint)
        elif self.is_single or self._is_proven(missing):
            c.add(map(absent, c.rows.absent()))

    def _is_proven(self, missing: int) -> bool:
        c = self.comparison
        sample = c.rows.some_absent(_ASKED_SINGLY)
        answers = ask_all(iter(sample), self.thingspace.get_device, workers=c.workers, stop=c.stop)
        for answer in answers:
            if answer is not None and not _says_not_found(answer.value):
                c.distrust(
                    "the ThingSpace listing is not whole: it left out a device that can be asked about"
                )
                return False
        if c.stop.is_set():
            return False
        shrunk = self.known_size is not None and self.listed < _SHRUNK * self.known_size
        if shrunk and missing > len(sample):
            c.distrust(
                f"ThingSpace listed {self.listed:,} devices, and {self.known_size:,} the time before",
                "run it again: what two listings agree on is believed",
            )
            return False
        return True


def _says_not_found(answer: Device | DeviceError) -> bool:
    return isinstance(answer, DeviceError) and answer.category is Category.NOT_FOUND
