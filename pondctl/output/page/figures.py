"""The part of a page that shows what the devices come to: outcomes, states, reasons, response times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pondctl.output.page.charts import areas, bars, histogram, share_bar
from pondctl.output.page.markup import ORDER, card, nothing, text
from pondctl.services.report import Facts, Sums

_ENDPOINTS: Final = 6


def figures(facts: Facts, sums: Sums, bounds: Sequence[float]) -> Iterator[str]:
    """The charts, each in a card of its own."""
    counts = {name: sums.outcomes[name] for name in ORDER if sums.outcomes.get(name)}
    body = share_bar(counts) if counts else nothing("The bulk change has no devices.")
    yield card("Outcomes", "What the rows of the bulk change say now.", body)
    if sums.states is not None:
        note = "What the carrier was seen to say of each device. Between two looks a state is taken to last."
        yield card("States over time", note, areas(sums.states))
    elif sums.settled is not None:
        note = "When rows got their result. No carrier state was observed."
        yield card("Settled over time", note, areas(sums.settled))
    yield f'<div class="pair">{_reasons(sums)}{_times(facts, bounds)}</div>\n'


def _reasons(sums: Sums) -> str:
    if not sums.categories:
        return card("Reasons", "Why devices are not simply done.", nothing("There is none."))
    said = "".join(f"<li><span>{text(name)}</span><b>{count:,}</b></li>" for name, count in sums.reasons)
    more = f'<h3>Most frequent words</h3><ol class="said">{said}</ol>' if said else ""
    return card("Reasons", "Why devices are not simply done.", bars(sums.categories, "c-failed") + more)


def _times(facts: Facts, bounds: Sequence[float]) -> str:
    note = "Carrier calls of the runs below that were answered, in seconds up to."
    if not facts.calls:
        return card(
            "Response times", note, nothing("None is kept: no run of pondctl has called a carrier for it.")
        )
    ranked = sorted(facts.calls.items(), key=lambda each: -sum(each[1]))
    parts = [
        f"<h3>{text(name)}</h3>{histogram(counts, bounds)}<p class='note'>{_shares(counts, bounds)}</p>"
        for name, counts in ranked[:_ENDPOINTS]
    ]
    left = len(ranked) - _ENDPOINTS
    parts.append(f"<p class='note'>{left} more endpoints had fewer calls.</p>" if left > 0 else "")
    return card("Response times", note, "".join(parts))


def _shares(counts: Sequence[int], bounds: Sequence[float]) -> str:
    total = sum(counts)
    words = [f"{total:,} calls" if total != 1 else "1 call"]
    for share, name in ((0.5, "half"), (0.95, "95 %")):
        reached, place = 0, 0
        while (reached := reached + counts[place]) < share * total:
            place += 1
        limit = f"within {bounds[place]:g} s" if place < len(bounds) else f"only after {bounds[-1]:g} s"
        words.append(f"{name} {limit}")
    return ", ".join(words)
