"""Measure what is named, or all of it, and print it."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Protocol

from tests.benchmarks import audit, lookups, memory, pacing, scan, start
from tests.benchmarks.figures import Figure, as_document, as_table


class _Measure(Protocol):
    def __call__(self, rounds: int, *, full: bool) -> list[Figure]: ...


_ALL: dict[str, _Measure] = {
    "start": start.measure,
    "lookups": lookups.measure,
    "scan": scan.measure,
    "memory": memory.measure,
    "pacing": pacing.measure,
    "audit": audit.measure,
}


def main() -> None:
    """Read the arguments and go."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(_ALL))
    parser.add_argument("--full", action="store_true", help="a million devices, too; takes half an hour")
    parser.add_argument("--json", action="store_true", help="print a document instead of a table")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if unknown := set(given.names) - set(_ALL):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name in given.names or _ALL:
        began = time.monotonic()
        figures += _ALL[name](given.rounds, full=given.full)
        sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    sys.stdout.write(as_document(figures) if given.json else as_table(figures))


if __name__ == "__main__":
    main()
