"""Charts as inline SVG: shapes stretch with the page, texts keep their size, colours come from its style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from pondctl.output.page.markup import colour, place_of, text
from pondctl.output.safe import stamp
from pondctl.services.reporting.timeline import Series

_WIDE, _HIGH = 1000, 200
_TICKS: Final = 5
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 30, 90, 365)),
)


def share_bar(counts: Mapping[str, int]) -> str:
    """All of something in one bar, and what its parts are."""
    total = sum(counts.values())
    parts, place, legend = [], 0.0, []
    for name, count in counts.items():
        width = _WIDE * count / total
        # What is there is seen, however little it is; a gap parts neighbours.
        parts.append(_rect(colour(name), place, 0, max(width - 2, 2.0), 30))
        place += width
        legend.append(
            f"<li>{swatch(name)}{text(name)} <b>{count:,}</b> <small>{_percent(count, total)}</small></li>"
        )
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    svg = f'<svg viewBox="0 0 {_WIDE} 30" height="30" {_STRETCH} role="img" aria-label="{text(said)}">'
    return f'{svg}{"".join(parts)}</svg><ul class="legend">{"".join(legend)}</ul>'


def bars(counts: Mapping[str, int], fill: str) -> str:
    """One bar for each name, the longest first."""
    most = max(counts.values())
    lines = []
    for name, count in counts.items():
        shape = _rect("track", 0, 0, _WIDE, 14) + _rect(fill, 0, 0, max(_WIDE * count / most, 4), 14)
        svg = f'<svg viewBox="0 0 {_WIDE} 14" height="14" {_STRETCH} aria-hidden="true">{shape}</svg>'
        lines.append(f"<span>{text(name)}</span>{svg}<b>{count:,}</b>")
    return f'<div class="bars">{"".join(lines)}</div>'


def areas(series: Series) -> str:
    """How many were in which state over time, one upon the other."""
    first = next(
        place for place, counts in enumerate(zip(*series.counts.values(), strict=True)) if any(counts)
    )
    times = series.times[first:]
    start = series.start + timedelta(seconds=times[0])
    span = max(times[-1] - times[0], 1.0)
    ranked = sorted(series.counts, key=place_of)
    named = {name: series.counts[name][first:] for name in ranked}
    most = _nice(max(sum(counts) for counts in zip(*named.values(), strict=True)))
    below, shapes = [0] * len(times), []
    for name, counts in named.items():
        above = [low + max(count, 0) for low, count in zip(below, counts, strict=True)]
        shapes.append(f'<path class="{colour(name)}" d="{_band(times, below, above, span, most)}"/>')
        below = above
    legend = "".join(
        f"<li>{swatch(name)}{text(name)} <b>{counts[-1]:,}</b> <small>at the end</small></li>"
        for name, counts in named.items()
    )
    end = start + timedelta(seconds=span)
    said = f"from {stamp(start, 'seconds')} to {stamp(end, 'seconds')}"
    return (
        f'<svg height="{_HIGH + 24}" role="img" aria-label="{said}">'
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" height="{_HIGH}" preserveAspectRatio="none">{"".join(shapes)}'
        f"{_lines()}</svg>{_heights(most)}{_ticks(start, span)}</svg>"
        f'<ul class="legend">{legend}</ul>'
    )


def histogram(counts: Sequence[int], bounds: Sequence[float]) -> str:
    """A column for each bucket; the last one has no bound."""
    most, step = max(counts), 100 / len(counts)
    shapes, words = [], []
    for place, count in enumerate(counts):
        high = 60 * count / most if count else 0
        at, middle = place * step, (place + 0.5) * step
        if count:
            size = f'width="{step - 1.5:.2f}%" height="{max(high, 1.5):.1f}"'
            shapes.append(f'<rect class="c-call" x="{at + 0.75:.2f}%" y="{60 - max(high, 1.5):.1f}" {size}/>')
        word = f"{bounds[place]:g}" if place < len(bounds) else "more"
        words.append(f'<text x="{middle:.2f}%" y="75" text-anchor="middle">{word}</text>')
    axis = '<line class="axis" x1="0" x2="100%" y1="60" y2="60"/>'
    return f'<svg height="80" aria-hidden="true">{"".join(shapes)}{axis}{"".join(words)}</svg>'


def swatch(name: str) -> str:
    """A dot in the colour of this outcome or state."""
    circle = f'<circle class="{colour(name)}" cx="5" cy="5" r="5"/>'
    return f'<svg viewBox="0 0 10 10" aria-hidden="true">{circle}</svg>'


_STRETCH = 'preserveAspectRatio="none"'


def _rect(fill: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{fill}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _band(times: Sequence[float], below: Sequence[int], above: Sequence[int], span: float, most: int) -> str:
    """What lies between two lines that go in steps: a count holds until the next one is known."""

    def steps(heights: Sequence[int]) -> list[str]:
        found = []
        for (time, height), (until, _) in pairwise(
            [*zip(times, heights, strict=True), (times[0] + span, heights[-1])]
        ):
            y = _HIGH * (1 - height / most)
            found += [f"{_WIDE * (t - times[0]) / span:.1f},{y:.1f}" for t in (time, until)]
        return found

    return f"M{'L'.join([*steps(above), *reversed(steps(below))])}Z"


def _lines() -> str:
    return "".join(
        f'<line class="{name}" x1="0" x2="{_WIDE}" y1="{y}" y2="{y}"/>'
        for y, name in ((0, "grid"), (_HIGH // 2, "grid"), (_HIGH, "axis"))
    )


def _heights(most: int) -> str:
    words = ((0, f"{most:,}"), (_HIGH // 2, f"{most / 2:,g}"))
    return "".join(f'<text class="in" x="4" y="{y - 4 if y else 12}">{word}</text>' for y, word in words)


def _ticks(start: datetime, span: float) -> str:
    step = next((s for s in _STEPS if span / s <= _TICKS), _STEPS[-1])
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    since = (start - midnight).total_seconds()
    place, found = -(-since // step) * step, []
    form = "%H:%M:%S" if step < _MINUTE else "%H:%M" if step < _DAY else "%d %b"
    while place <= since + span:
        x = 100 * (place - since) / span
        anchor = "start" if x < 6 else "end" if x > 94 else "middle"  # noqa: PLR2004 - per cent
        word = (midnight + timedelta(seconds=place)).strftime(form)
        found.append(f'<text x="{x:.2f}%" y="{_HIGH + 16}" text-anchor="{anchor}">{word}</text>')
        place += step
    return "".join(found)


def _nice(most: int) -> int:
    """The next number that reads well."""
    size = 1
    while True:
        for head in (1, 2, 3, 4, 6, 8):
            if head * size >= most:
                return head * size
        size *= 10


def _percent(count: int, total: int) -> str:
    share = 100 * count / total
    if 0 < share < 0.1:  # noqa: PLR2004 - less than the one decimal shows
        return "under 0.1 %"
    return f"{share:.1f} %" if share < 99.95 or count == total else "over 99.9 %"  # noqa: PLR2004
