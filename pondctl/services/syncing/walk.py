"""Walk the open rows of a bulk change: decide what needs no call, ask for the rest, hold back doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from pondctl.clients.thingspace import ThingSpaceClient
from pondctl.db.scratch import Scratch
from pondctl.errors import CarrierUnavailableError, Category, DeviceError
from pondctl.models import Carrier, Device, DeviceChange, DeviceState, Outcome, Stop, normalize_iccid
from pondctl.services.syncing.ask import ask_all
from pondctl.services.syncing.held import Held
from pondctl.services.syncing.judge import (
    BadRequestError,
    Verdict,
    exhausted,
    guarded,
    judge_answer,
    judge_error,
    judge_row,
    target_of,
)
from pondctl.services.syncing.next_check import made_progress
from pondctl.services.syncing.open_rows import OpenRows
from pondctl.services.syncing.rows import RowWriter
from pondctl.telemetry import metrics

_NO_ANSWER = (Category.NETWORK, Category.CARRIER_UNAVAILABLE)
# From this many devices on, more than half unknown to the carrier smells of a wrong account.
_GUARD_FROM = 20


class _Asked(NamedTuple):
    change: DeviceChange
    iccid: str


class RowSync:
    """One walk over the work of a bulk change, in the order of the rows' ids."""

    def __init__(
        self,
        work: OpenRows,
        thingspace: ThingSpaceClient,
        writer: RowWriter,
        stop: Stop,
        *,
        total: int,
        faults: Mapping[str, str],
        workers: int,
        accept_not_found: bool,
        pending_is_over: bool,
        last_try: bool,
    ) -> None:
        self._work = work
        self._thingspace = thingspace
        self._writer = writer
        self._stop = stop
        self.bulk_change_id = work.bulk_change_id
        self.total = total
        self._faults = faults
        self._workers = workers
        self._accept_not_found = accept_not_found
        self._pending_is_over = pending_is_over
        self._last_try = last_try
        self._scratch: Scratch | None = None
        self._found = 0
        self._not_found = Held(work)
        self._answered = False
        self._unanswered: list[tuple[_Asked, Verdict]] = []
        self._in_trouble = Held(work)
        self._same_device: dict[str, list[DeviceChange]] = {}
        self._guarded = 0

    def run(self, scratch: Scratch | None) -> None:
        """Decide every open row, by what a scan has shown or else by a call of its own.

        Rows left when the run stops early stay as they are.
        """
        self._scratch = scratch
        answers = ask_all(self._to_ask(), self._ask, workers=self._workers, stop=self._stop)
        try:
            for answer in answers:
                if answer is None:
                    self._writer.flush_if_due()
                else:
                    self._take(answer.item, answer.value)
        finally:
            self._writer.flush()
        if not self._stop.is_set():
            self._settle_doubt()
            self._writer.flush()

    def hints(self) -> tuple[str, ...]:
        """What a person should do about this run."""
        if not self._guarded:
            return ()
        return (
            f"{self._guarded} devices are not known at the carrier: is thingspace.account_name right? "
            "They were left open; --accept-not-found settles them",
        )

    def _to_ask(self) -> Iterator[_Asked]:
        after = 0
        while not self._stop.is_set():
            page = self._work.page(after)
            if not page:
                return
            after = page[-1].id
            iccids = [normalize_iccid(change.iccid) for change in page]
            shown = self._scratch.find([iccid for iccid in iccids if iccid]) if self._scratch else {}
            for change, iccid in zip(page, iccids, strict=True):
                yield from self._decide_or_ask(change, iccid, shown)

    def _decide_or_ask(
        self, change: DeviceChange, iccid: str | None, shown: dict[str, Device]
    ) -> Iterator[_Asked]:
        verdict = judge_row(change, iccid)
        if verdict is not None:
            self._writer.add(verdict)
        elif iccid is None or _needs_no_number(change):
            return
        elif iccid in shown:
            self._judge(_Asked(change, iccid), shown[iccid], from_scan=True)
        elif self._is_first(change, iccid):
            yield _Asked(change, iccid)

    @cached_property
    def _asked_twice(self) -> dict[str, Device | DeviceError | None]:
        """What is known of the devices that several rows name; looked for when the first call is made."""
        return dict.fromkeys(self._work.named_twice())

    def _is_first(self, change: DeviceChange, iccid: str) -> bool:
        """Rows that name one device twice share one call: the later ones wait for its answer."""
        if iccid not in self._asked_twice:
            return True
        known = self._asked_twice[iccid]
        if known is not None:
            self._judge(_Asked(change, iccid), known)
            return False
        first = iccid not in self._same_device
        self._same_device.setdefault(iccid, [])
        if not first:
            self._same_device[iccid].append(change)
        return first

    def _ask(self, asked: _Asked) -> Device:
        with metrics.timed("pondctl_device_seconds", carrier=Carrier.THINGSPACE):
            return self._thingspace.get_device(asked.iccid)

    def _take(self, asked: _Asked, answer: Device | DeviceError) -> None:
        if isinstance(answer, DeviceError) and answer.category is Category.CANCELLED:
            return  # the run is stopping and the call was given up: the row stays as it is
        if asked.iccid in self._asked_twice:
            self._asked_twice[asked.iccid] = answer
        self._judge(asked, answer)
        for change in self._same_device.pop(asked.iccid, ()):
            self._judge(_Asked(change, asked.iccid), answer)

    def _judge(self, asked: _Asked, answer: Device | DeviceError, *, from_scan: bool = False) -> None:
        verdict = judge_answer(
            asked.change,
            asked.iccid,
            answer,
            pending_is_over=self._pending_is_over,
            fault=self._faults.get(asked.iccid),
        )
        if verdict.outcome.category in _NO_ANSWER and not self._answered:
            self._unanswered.append((asked, verdict))
            return
        self._answered = True
        self._route(asked, verdict, logged=not from_scan)

    def _route(self, asked: _Asked, verdict: Verdict, *, logged: bool = True) -> None:
        if verdict.outcome.category is Category.NOT_FOUND:
            self._hold_not_found(asked, verdict)
        elif verdict.outcome.outcome is Outcome.DEFERRED and self._last_try:
            self._in_trouble.add(asked.change, verdict.outcome)
        else:
            self._found += verdict.outcome.outcome is not Outcome.DEFERRED
            self._writer.add(verdict, logged=logged)

    def _hold_not_found(self, asked: _Asked, verdict: Verdict) -> None:
        """Keep it until it is sure that not most of the devices are unknown."""
        if self._accept_not_found or 2 * self._found >= self.total:
            self._release_not_found()
            self._writer.add(verdict)
        else:
            self._not_found.add(asked.change, verdict.outcome)

    def _release_not_found(self) -> None:
        for change, error in self._not_found.release():
            self._writer.add(judge_error(change, _sent_as(change), error))

    def _settle_doubt(self) -> None:
        """At the end of a whole walk: unknown devices, and devices in their last try.

        Raises `CarrierUnavailableError` when not one device got an answer: that is an outage, however
        few devices there were to see it.
        """
        if self._unanswered and not self._answered:
            reason = self._unanswered[0][1].outcome.detail
            raise CarrierUnavailableError(f"ThingSpace answered for no device: {reason}")
        for asked, verdict in self._unanswered:
            self._route(asked, verdict)
        missing = len(self._not_found)
        known = self._found + missing
        if known >= _GUARD_FROM and 2 * missing > known and not self._accept_not_found:
            self._guarded = missing
            reason = f"{missing} of {known} devices are not known at the carrier"
            for change, _ in self._not_found.release():
                self._writer.add(guarded(change, _sent_as(change), reason))
        self._release_not_found()
        self._writer.flush()
        moved = made_progress(self._writer.counts)
        for change, error in self._in_trouble.release():
            iccid, reason = _sent_as(change), f"retries used up: {error.message}"
            self._writer.add(judge_error(change, iccid, error) if moved else exhausted(change, iccid, reason))


def _sent_as(change: DeviceChange) -> str:
    return normalize_iccid(change.iccid) or ""


def _needs_no_number(change: DeviceChange) -> bool:
    """The host settled it, and its target is a state that needs no MSISDN: nothing is left to do."""
    if not change.is_processed:
        return False
    try:
        return target_of(change.change_request) is not DeviceState.ACTIVE
    except BadRequestError:
        return True
