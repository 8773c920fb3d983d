"""What was measured, over all rounds, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured thing; `reach` is what it should come to, in words."""

    of: str
    what: str
    values: tuple[float, ...]
    reach: str = ""

    def as_json(self) -> dict[str, object]:
        """For machines."""
        middle = {"min": min(self.values), "median": median(self.values), "max": max(self.values)}
        return {"of": self.of, "what": self.what, **middle, "rounds": len(self.values), "reach": self.reach}

    def cells(self) -> tuple[str, ...]:
        """For a table."""
        low, middle, high = min(self.values), median(self.values), max(self.values)
        return (self.what, *(_short(value) for value in (low, middle, high)), self.reach)


def figure(of: str, what: str, values: Iterable[float], reach: str = "") -> Figure:
    """One measured thing, over all rounds."""
    return Figure(of, what, tuple(values), reach)


def ratios(of: str, what: str, above: Sequence[float], below: Sequence[float], reach: str = "") -> Figure:
    """Round by round, because the rounds share a machine that is not always the same."""
    return figure(of, what, (a / b for a, b in zip(above, below, strict=True)), reach)


def as_table(figures: Sequence[Figure]) -> str:
    """All figures below each other, under what they are of."""
    lines: list[str] = []
    wide = max(len(found.what) for found in figures)
    of = ""
    for found in figures:
        if found.of != of:
            of = found.of
            lines += ["", of, f"  {'':{wide}} {'min':>10} {'median':>10} {'max':>10}  to reach"]
        what, low, middle, high, reach = found.cells()
        lines.append(f"  {what:{wide}} {low:>10} {middle:>10} {high:>10}  {reach}".rstrip())
    return "\n".join(lines[1:]) + "\n"


def as_document(figures: Sequence[Figure]) -> str:
    """All figures as one JSON array."""
    return json.dumps([found.as_json() for found in figures], indent=2) + "\n"


def _short(value: float) -> str:
    if value and abs(value) < 100 and value != int(value):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:,.0f}"
