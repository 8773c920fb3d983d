"""Many row ids in little memory, in their order."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise


class RowIds:
    """Distinct ids, ascending; 8 bytes each."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._ids = array("q", ids)
        # Mostly they come in order already; sorting them makes an object of each.
        if any(later <= earlier for earlier, later in pairwise(self._ids)):
            self._ids = array("q", sorted(set(self._ids)))

    def __len__(self) -> int:
        """How many."""
        return len(self._ids)

    def __iter__(self) -> Iterator[int]:
        """From the lowest to the highest."""
        return iter(self._ids)

    def after(self, row_id: int, limit: int) -> list[int]:
        """The next ids above `row_id`, at most `limit`."""
        first = bisect_right(self._ids, row_id)
        return self._ids[first : first + limit].tolist()

    def chunks(self, size: int) -> Iterator[list[int]]:
        """All of them, in lists of at most `size`."""
        rest = iter(self._ids)
        while chunk := list(islice(rest, size)):
            yield chunk
