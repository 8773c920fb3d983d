"""json, jsonl and csv of a run, written while it goes on; nothing is held per device."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO

from pondctl.models import DeviceOutcome, Outcome
from pondctl.output.results import Ending, Head, Writer
from pondctl.output.safe import csv_cell, dumps, exact
from pondctl.output.summary import TableRun, summary_lines

DEVICE_KEYS = ("device_change_id", "iccid", "outcome", "category", "carrier_state", "msisdn", "detail")


class JsonDocument:
    """One JSON object piece by piece: its head, the items of one array as they come, its tail."""

    def __init__(self, stream: IO[str], array: str) -> None:
        self._stream = stream
        self._array = array
        self._between = "\n"

    def open(self, head: Mapping[str, object]) -> None:
        """Write the keys that are known from the start, and begin the array."""
        self._stream.write(f'{dumps(head)[:-1]}, "{self._array}": [')
        self._stream.flush()

    def add(self, items: Iterable[object]) -> None:
        """Write some items of the array; the reader has them when this returns."""
        text = ",\n".join(map(dumps, items))
        if text:
            self._stream.write(self._between + text)
            self._stream.flush()
            self._between = ",\n"

    def close(self, tail: Mapping[str, object]) -> None:
        """End the array and write the keys that are known only now."""
        self._stream.write(f"\n], {dumps(tail)[1:]}\n")
        self._stream.flush()


class JsonRun:
    """`-o json`: one document, complete also when the run is cut short."""

    def __init__(self, stream: IO[str]) -> None:
        self._document = JsonDocument(stream, "devices")

    def open(self, head: Head) -> None:
        """Begin the document."""
        self._document.open(_head(head))

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """Add the devices to the array."""
        self._document.add(map(_device, outcomes))

    def close(self, ending: Ending) -> None:
        """Complete the document."""
        self._document.close(_tail(ending))


class JsonlRun:
    """`-o jsonl`: a line for each device as it is decided, then one with the summary."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def open(self, head: Head) -> None:
        """Write nothing: the first line is the first device."""

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """Write the lines of these devices."""
        self._stream.write("".join(f"{dumps(_device(outcome))}\n" for outcome in outcomes))
        self._stream.flush()

    def close(self, ending: Ending) -> None:
        """Write the summary line."""
        self._stream.write(dumps({"summary": {**_head(ending.head), **_tail(ending)}}) + "\n")
        self._stream.flush()


class CsvRun:
    """`-o csv`: the devices alone; the summary is told to the person, not to the file."""

    def __init__(self, stream: IO[str], tell: Callable[[str], None]) -> None:
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._tell = tell

    def open(self, head: Head) -> None:
        """Write the header."""
        self._rows.writerow(DEVICE_KEYS)
        self._stream.flush()

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """Write the rows of these devices."""
        self._rows.writerows(map(csv_cell, _device(outcome).values()) for outcome in outcomes)
        self._stream.flush()

    def close(self, ending: Ending) -> None:
        """Tell the summary."""
        for line in summary_lines(ending):
            self._tell(line)


def writer_for(form: str, streams: tuple[IO[str], IO[str]], tell: Callable[[str], None]) -> Writer:
    """The format of a run. The second stream is for a table, which prints nothing before the end."""
    stream, end_stream = streams
    match form:
        case "json":
            return JsonRun(stream)
        case "jsonl":
            return JsonlRun(stream)
        case "csv":
            return CsvRun(stream, tell)
    return TableRun(end_stream, tell)


def _device(outcome: DeviceOutcome) -> dict[str, str | None]:
    change = outcome.device_change_id
    return {
        "device_change_id": None if change is None else str(change),
        "iccid": outcome.iccid,
        "outcome": outcome.outcome,
        "category": outcome.category,
        "carrier_state": outcome.carrier_state,
        "msisdn": outcome.msisdn,
        "detail": outcome.detail,
    }


def _head(head: Head) -> dict[str, object]:
    """`bulk_change_id` is the one id that is a number: so the contract shows it at the top of a run."""
    return {
        "command": head.command,
        "run_id": head.run_id,
        "dry_run": head.dry_run,
        "bulk_change_id": head.bulk_change_id,
    }


def _tail(ending: Ending) -> dict[str, object]:
    retry = ending.retry
    own: dict[str, object] = {
        "counts": {outcome.value: ending.counts.get(outcome, 0) for outcome in Outcome},
        "status": ending.status,
        "retry": retry and {"retry_number": retry.retry_number, "delay_seconds": retry.delay_seconds},
        "hints": list(ending.hints),
    }
    if ending.error:
        own["error"] = ending.error
    taken = {*_head(ending.head), "devices", "error"}
    extra = {key: exact(value, key) for key, value in ending.extra.items() if key not in taken}
    return {**extra, **own}
