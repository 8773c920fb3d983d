"""How long `pondctl --help` takes beside the least that a Typer app takes."""

from __future__ import annotations

from tests.benchmarks.figures import Figure, figure, ratios
from tests.benchmarks.process import Took, command, run

_TURNS_A_ROUND = 4


def measure(rounds: int, *, full: bool) -> list[Figure]:
    """Both in turn, so that both meet the same machine."""
    pairs = [(_help(), _bare()) for _ in range((rounds + full) * _TURNS_A_ROUND)]
    ours, bare = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    of = f"pondctl --help beside a Typer app of two commands, {len(pairs)} turns"
    return [
        ratios(of, "times as long", [t.seconds for t in ours], [t.seconds for t in bare], "median <= 1.5"),
        ratios(of, "times as much processor", [t.cpu_seconds for t in ours], [t.cpu_seconds for t in bare]),
        figure(of, "pondctl, milliseconds", (t.seconds * 1000 for t in ours)),
        figure(of, "bare app, milliseconds", (t.seconds * 1000 for t in bare)),
    ]


def _help() -> Took:
    return run(command("--help"), {})


def _bare() -> Took:
    return run(["-m", "tests.benchmarks.bare_app", "--help"], {})
