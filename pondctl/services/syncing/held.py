"""Rows whose fate depends on the whole walk, set aside in a few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from pondctl.errors import Category, DeviceError
from pondctl.models import DeviceChange, DeviceOutcome, Outcome
from pondctl.services._row_ids import RowIds
from pondctl.services.syncing.open_rows import OpenRows

_PAGE = 1000


class Held:
    """Keeps the ids of rows under what the carrier said of them; a wrong account name holds all there are.

    The rows themselves are read again when they are let go: one that is settled by then is left out.
    """

    def __init__(self, work: OpenRows) -> None:
        self._work = work
        self._rows: dict[tuple[Category | None, str, bool], array[int]] = {}

    def __len__(self) -> int:
        """How many rows."""
        return sum(map(len, self._rows.values()))

    def add(self, change: DeviceChange, outcome: DeviceOutcome) -> None:
        """Set a row aside that the carrier has answered with an error."""
        told = (outcome.category, outcome.detail or "", outcome.outcome is Outcome.DEFERRED)
        self._rows.setdefault(told, array("q")).append(change.id)

    def release(self) -> Iterator[tuple[DeviceChange, DeviceError]]:
        """Let all of them go, each with what the carrier said."""
        held, self._rows = self._rows, {}
        for (category, message, temporary), ids in held.items():
            if category is None:
                raise AssertionError("an error has a category")
            error = DeviceError(message, category=category, temporary=temporary)
            for some in RowIds(ids).chunks(_PAGE):
                for change in self._work.pick(some):
                    yield change, error
