"""The report of a bulk change as one page that needs nothing else: no network, no other file, no server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Final

from pondctl import __version__
from pondctl.output.page.figures import figures
from pondctl.output.page.listing import data, devices, runs
from pondctl.output.page.markup import moment, span, text
from pondctl.services.report import Facts, Sums

_NOTHING_ELSE: Final = "base-uri 'none'; form-action 'none'"


def page(facts: Facts, sums: Sums, bounds: Sequence[float], profile: str) -> Iterator[str]:
    """The document, in pieces."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; {_NOTHING_ELSE}"
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="format-detection" content="telephone=no"><meta name="robots" content="noindex">'
        f"<title>Bulk change {text(facts.head['id'])}</title><style>{style}</style></head><body><main>\n"
    )
    yield _head(facts, profile)
    yield _tiles(facts, sums)
    yield _open(facts)
    yield from figures(facts, sums, bounds)
    yield runs(facts)
    yield from devices(facts, sums)
    yield (
        f"<footer>Made {moment(facts.now)} (database time) by pondctl {__version__}, "
        f"profile {text(profile)}. All times are UTC.</footer></main>\n"
    )
    yield '<script type="application/json" id="data">'
    yield from data(sums)
    yield "</script>\n"
    yield f"<script>{script}</script></body></html>\n"


def _asset(name: str) -> str:
    return resources.files("pondctl.output.page").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


def _head(facts: Facts, profile: str) -> str:
    head = facts.head
    carrier = {"thingspace": "ThingSpace", "pond": "POND"}.get(str(head["carrier"]), "no known carrier")
    by = f" by {text(head['created_by'])}" if head["created_by"] else ""
    made = f"made {moment(head['created'])}{by}" if head["created"] else "nobody noted when it was made"
    ended = f", processed {moment(head['processed'])}" if head["processed"] else ""
    return (
        f'<header><div class="eyebrow">pondctl report, profile {text(profile)}</div>'
        f'<h1>Bulk change {text(head["id"])}<span class="pill">{text(head["status"])}</span></h1>'
        f"<p>{text(head['type'])}, {carrier}, service provider {text(head['service_provider_id'])}: "
        f"{made}{ended}.</p></header>\n"
    )


def _tiles(facts: Facts, sums: Sums) -> str:
    head = facts.head
    tiles = [
        (f"{sums.devices:,}", "devices"),
        (f"{head['settled']:,}", "settled"),
        (f"{head['open']:,}", "open"),
        (f"{head['with_errors']:,}", "settled with an error"),
    ]
    if head["activation_seconds_p50"] is not None:
        tiles += [
            (
                span(head["activation_seconds_p50"]),
                f"until half of {head['seen_active']:,} seen active were so",
            ),
            (span(head["activation_seconds_p95"]), "until 95 % of them were so"),
        ]
    cells = "".join(f'<div class="tile"><b>{value}</b><span>{word}</span></div>' for value, word in tiles)
    return f'<section class="tiles">{cells}</section>\n'


def _open(facts: Facts) -> str:
    head = facts.head
    facts_of = {
        "Waits for": text(head["waits_for"]),
        "Run next": f"<code>{text(head['next'])}</code>" if head["next"] else "",
        "Writes without an answer": text(head["unknown_writes"] or None),
        "Dead letters": text(head["dead_letters"] or None),
        "Cancelled because": text(head["cancelled_because"]),
    }
    lines = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts_of.items() if value)
    if not head["waits_for"]:
        note = "<p>Nothing: every device has its result.</p>"
        return f'<section class="card open nothing"><h2>What is open</h2>{note}{_list(lines)}</section>\n'
    return f'<section class="card open"><h2>What is open</h2>{_list(lines)}</section>\n'


def _list(lines: str) -> str:
    return f"<dl>{lines}</dl>" if lines else ""
