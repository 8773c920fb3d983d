"""A run as a person reads it: the counts, the devices that are not done, and what happens next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import IO

from pondctl.models import DeviceOutcome, Outcome, Retry
from pondctl.output.results import Ending, Head
from pondctl.output.safe import plain, shown, words
from pondctl.output.tables import Column, Table

SHOWN = 50
_FINE = frozenset({Outcome.DONE, Outcome.UNCHANGED})
_COLUMNS = (
    Column("iccid", "ICCID"),
    Column("msisdn", "MSISDN"),
    Column("device_change_id", "DEVICE CHANGE"),
    Column("outcome"),
    Column("carrier_state", fold=True),
    Column("reason", fold=True),
)


class TableRun:
    """`-o table`: keeps the first devices that are not done and prints when the run is over."""

    def __init__(self, stream: IO[str], tell: Callable[[str], None]) -> None:
        self._stream = stream
        self._tell = tell
        self._not_done: list[DeviceOutcome] = []
        self._left_out: frozenset[Outcome] = _FINE

    def open(self, head: Head) -> None:
        """Print nothing: a table is for a reader who waits for the end. A dry run is its devices."""
        if head.dry_run:
            self._left_out = frozenset()

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """Keep those that are not done, while there is room."""
        room = SHOWN - len(self._not_done)
        if room > 0:
            self._not_done += [o for o in outcomes if o.outcome not in self._left_out][:room]

    def close(self, ending: Ending) -> None:
        """Print it; a run that was cut short before any device was decided has nothing to show."""
        if ending.error and not any(ending.counts.values()):
            return
        for line in summary_lines(ending):
            self._stream.write(line + "\n")
        self._print_devices(ending)
        self._stream.flush()
        for hint in ending.hints:
            self._tell(f"hint: {hint}")

    def _print_devices(self, ending: Ending) -> None:
        if not self._not_done:
            return
        rows = [_row(device) for device in self._not_done]
        self._stream.write("\n")
        used = [c for c in _COLUMNS if any(row[c.key] is not None for row in rows)]
        Table(self._stream, used).add(rows)
        left = sum(n for outcome, n in ending.counts.items() if outcome not in self._left_out) - len(rows)
        if left > 0:
            self._stream.write(f"\n{left:,} {plain(_rest(ending.head))}\n")


def _rest(head: Head) -> str:
    """How to see what the table left out; asking again would be another run, but a dry run leaves none."""
    if head.dry_run:
        return "more; -o json shows all of them"
    return f"more not done; `pondctl runs show {head.run_id} --all` shows all of them"


def _row(device: DeviceOutcome) -> dict[str, object]:
    """Category and detail share a column: a terminal of 80 columns has no room for both."""
    return {
        "iccid": device.iccid,
        "msisdn": device.msisdn,
        "device_change_id": device.device_change_id,
        "outcome": device.outcome,
        "carrier_state": device.carrier_state,
        "reason": ": ".join(part for part in (device.category, device.detail) if part) or None,
    }


def summary_lines(ending: Ending) -> Iterator[str]:
    """The run in a few lines: what, how it ended, how many of which, and the next check."""
    head = ending.head
    about = "" if head.bulk_change_id is None else f" of bulk change {head.bulk_change_id}"
    early = ", the run ended early" if ending.error else ""
    yield plain(f"{head.command}{about}: {ending.status}{early} (run {head.run_id})")
    if head.dry_run:
        yield "dry run: nothing was written or sent"
    counts = [(outcome.value, ending.counts.get(outcome, 0)) for outcome in Outcome]
    devices = sum(count for _, count in counts)
    yield words([("device" if devices == 1 else "devices", devices)]) + (
        f": {words((name, count) for name, count in counts if count)}" if devices else ""
    )
    for key, value in ending.extra.items():
        if isinstance(value, list | tuple):
            continue  # what json has room for; the hints say what of it matters
        yield f"{plain(key.replace('_', ' '))}: {shown(value)}"
    if ending.retry:
        yield _next_check(ending.retry, dry_run=head.dry_run)


def _next_check(retry: Retry, *, dry_run: bool) -> str:
    verb = "would be" if dry_run else "is"
    return f"next check number {retry.retry_number} in {_span(retry.delay_seconds)} {verb} queued"


def _span(seconds: int) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds} s"
