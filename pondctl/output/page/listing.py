"""The part of a page that lists: runs, and the devices in a table that can be searched and sorted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pondctl.output.page.charts import swatch
from pondctl.output.page.markup import ORDER, card, embedded, moment, nothing, span, text, visible
from pondctl.services.report import Facts, Sums

_COLUMNS: Final = {
    "id": ("Device change", "id"),
    "iccid": ("ICCID", "id"),
    "msisdn": ("MSISDN", "id"),
    "outcome": ("Outcome", ""),
    "category": ("Category", ""),
    "carrier_state": ("Carrier state", ""),
    "reason": ("Reason", "why"),
    "changed": ("Changed", "when"),
}
_CODED: Final = {"outcome", "category", "carrier_state", "reason"}
_STATIC_ROWS: Final = 100


def runs(facts: Facts) -> str:
    if not facts.runs:
        return card("Runs", "", nothing("pondctl has not worked on it."))
    names = ("Run", "Command", "By", "Started", "Took", "State", "Devices", "Reason")
    head = "".join(f"<th>{name}</th>" for name in names)
    lines = "".join(f"<tr>{_run(run, names)}</tr>" for run in facts.runs)
    note = (
        f"The newest {len(facts.runs)}; <code>pondctl runs list</code> shows all." if facts.more_runs else ""
    )
    table = f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
    return card("Runs", note, f'<div class="wide">{table}</div>')


def _run(run: Mapping[str, Any], names: Sequence[str]) -> str:
    why = ": ".join(str(part) for part in (run["reason"], run["error"]) if part)
    values = (
        run["id"],
        run["command"],
        run["actor"],
        moment(run["started"]),
        span(run["seconds"]),
        run["state"],
        run["counts"],
        why,
    )
    classes = ("id", "", "", "when", "when", "", "", "why")
    return "".join(
        f'<td class="{css}" data-label="{name}">{text(value)}</td>'
        for css, name, value in zip(classes, names, values, strict=True)
    )


def devices(facts: Facts, sums: Sums) -> Iterator[str]:
    yield f'<section class="card"><h2>Devices</h2>{_left_out(facts, sums)}'
    chips = "".join(
        f'<button type="button" aria-pressed="false" data-outcome="{name}">{swatch(name)}{name} '
        f"{sums.outcomes[name]:,}</button>"
        for name in ORDER
        if sums.outcomes.get(name)
    )
    options = "".join(f"<option>{text(name)}</option>" for name in sums.categories)
    yield (
        '<div class="tools live" hidden><input id="text" type="search" placeholder="ICCID, MSISDN, any word" '
        'aria-label="Search the devices" autocomplete="off"><select id="category" aria-label="Category">'
        f'<option value="">every category</option>{options}</select></div>'
        f'<div class="chips live" hidden>{chips}</div>'
    )
    titles = "".join(f"<th>{title}</th>" for title, _ in _COLUMNS.values())
    yield f'<div class="wide"><table id="devices" class="stack"><thead><tr>{titles}</tr></thead>'
    yield '<tbody id="body">'
    for row in sums.rows[:_STATIC_ROWS]:
        yield f"<tr>{_device(row)}</tr>"
    yield (
        '</tbody></table></div><template id="dot">'
        + swatch("done")
        + '</template><div class="pager live" hidden><button type="button" id="back">Back</button>'
        '<button type="button" id="on">Next</button><span id="where" role="status"></span></div></section>\n'
    )


def _device(row: Mapping[str, object]) -> str:
    cells = []
    for name, (title, css) in _COLUMNS.items():
        given = row[name]
        value = moment(given) if isinstance(given, datetime) else text(given)
        if name == "outcome":
            value = f'<span class="dot">{swatch(str(row[name]))}{value}</span>'
        cells.append(f'<td class="{css}" data-label="{title}">{value}</td>')
    return "".join(cells)


def _left_out(facts: Facts, sums: Sums) -> str:
    missing = sums.devices - len(sums.rows)
    whole = f"<code>pondctl report bulk {text(facts.head['id'])} --all -o csv</code>"
    if missing:
        return f'<p class="note">{missing:,} devices are left out here; {whole} has all {sums.devices:,}.</p>'
    shown = (
        f" Without JavaScript only the first {_STATIC_ROWS} are shown." if sums.devices > _STATIC_ROWS else ""
    )
    return f'<noscript><p class="note">{shown} {whole} has all of them.</p></noscript>' if shown else ""


def data(sums: Sums) -> Iterator[str]:
    """The rows as JSON in little space: words that come again and again are kept once, behind them."""
    places: dict[str | None, int] = {None: 0}
    between = '{"rows":['
    for row in sums.rows:
        yield between + embedded([_cell(name, row[name], places) for name in _COLUMNS])
        between = ","
    titles, classes = zip(*_COLUMNS.values(), strict=True)
    rest = embedded({"titles": titles, "classes": classes, "words": list(places)})
    yield f"{between if not sums.rows else ''}],{rest[1:]}"


def _cell(name: str, value: object, places: dict[str | None, int]) -> object:
    word = moment(value) if isinstance(value, datetime) else value
    known = None if word is None else visible(str(word))
    return places.setdefault(known, len(places)) if name in _CODED else known
