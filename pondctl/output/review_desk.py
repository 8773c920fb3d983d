"""What the full-screen view can ask for; the command brings it together from the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, object]
Acted = tuple[Row, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ReviewDesk:
    """Each function may raise a `PondctlError`; the view shows it and goes on.

    `page(state, text, after, limit)`: the next lines of a list, by id. `count(state, text)`: how many
    there are; above `most` it counts no further. The actions return one entry of a result, and warnings.
    """

    title: str
    most: int
    page: Callable[[str | None, str, int, int], Sequence[Row]]
    count: Callable[[str | None, str], int]
    show: Callable[[int], Row]
    requeue: Callable[[int, Sequence[str]], Acted]
    discard: Callable[[int, str], Acted]
    restore: Callable[[int], Acted]
    stopped: Callable[[], bool]
    state: str | None = "open"
    text: str = ""
