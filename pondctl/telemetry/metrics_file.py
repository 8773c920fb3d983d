"""The metrics file: Prometheus text format, written whole, shared by all commands of a host.

Each process adds what it has measured to what the file says already, under a lock, and puts the new
file in the place of the old one in one step: a reader never sees half of it. So counters go on from
run to run, a command leaves the lines of the others alone, and of a job that died the old lines stay,
its last success among them. A file that cannot be read as ours is begun anew.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Final

from pondctl.telemetry.metrics import METRICS, Labels, Samples

_LINE: Final = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')
_LABEL: Final = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\.)*)"')
_ESCAPES: Final = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_PARTS: Final = ("_bucket", "_sum", "_count")
_LARGEST: Final = 4 * 1024 * 1024
_LOCK_SECONDS: Final = 2.0

_Values = dict[tuple[str, Labels], float]


def add_to_file(path: Path, samples: Samples, *, profile: str) -> None:
    """Add to the file what was measured under this profile. Raises `OSError` where that cannot be done."""
    with _locked(path):
        values = _read(path)
        for key, value in _flat(samples, profile).items():
            adds = _family(key[0])[1] != "gauge"
            values[key] = values.get(key, 0.0) + value if adds else value
        _replace(path, render({key: value for key, value in values.items() if not math.isnan(value)}))


def render(values: Mapping[tuple[str, Labels], float]) -> str:
    """The text of these lines, each family under its head."""
    lines: list[str] = []
    for name, metric in METRICS.items():
        mine = sorted((key for key in values if _family(key[0])[0] == name), key=_order)
        if mine:
            lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind_of(name)}"]
            lines += [f"{sample}{_label_text(labels)} {values[sample, labels]!r}" for sample, labels in mine]
    return "".join(f"{line}\n" for line in lines)


def _flat(samples: Samples, profile: str) -> _Values:
    """Line by line, as the file has it."""
    values: _Values = {}
    for (name, labels), value in (samples.counters | samples.gauges).items():
        values[name, _with(labels, profile=profile)] = value
    for (name, labels), counts in samples.buckets.items():
        bounds = [*map(repr, METRICS[name].buckets), "+Inf"]
        for bound, total in zip(bounds, accumulate(counts), strict=True):
            values[f"{name}_bucket", _with(labels, profile=profile, le=bound)] = float(total)
        values[f"{name}_sum", _with(labels, profile=profile)] = samples.sums[name, labels]
        values[f"{name}_count", _with(labels, profile=profile)] = float(sum(counts))
    return values


def _with(labels: Labels, **more: str) -> Labels:
    return tuple(sorted((*labels, *more.items())))


def _family(sample: str) -> tuple[str, str]:
    """The family of a line and its kind; an empty one where it is not ours."""
    if sample in METRICS and not METRICS[sample].buckets:
        return sample, METRICS[sample].kind_of(sample)
    for part in _PARTS:
        name = sample.removesuffix(part)
        if name != sample and name in METRICS and METRICS[name].buckets:
            return name, "histogram"
    return "", ""


def _order(key: tuple[str, Labels]) -> tuple[Labels, int, float]:
    """The lines of one histogram stand together, its buckets by their bound."""
    sample, labels = key
    bound = dict(labels).get("le")
    part = next((place for place, part in enumerate(_PARTS) if sample.endswith(part)), 0)
    others = tuple(pair for pair in labels if pair[0] != "le")
    return others, part, float(bound) if bound else 0.0


def _label_text(labels: Labels) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{','.join(pairs)}}}" if labels else ""


def _escaped(value: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in value)


def _read(path: Path) -> _Values:
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        text = path.read_text(encoding="utf-8")
        return {key: value for key, value in map(_parsed, _own_lines(text)) if _family(key[0])[0]}
    except (FileNotFoundError, ValueError):
        return {}


def _own_lines(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if line and not line.startswith("#"))


def _parsed(line: str) -> tuple[tuple[str, Labels], float]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("no line of a metrics file")
    labels = ((name, _unescaped(value)) for name, value in _LABEL.findall(match[2] or ""))
    return (match[1], tuple(sorted(labels))), float(match[3])


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def _replace(path: Path, text: str) -> None:
    # The collector reads *.prom: the draft must not be one.
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        # Readable by all: the collector is another user.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside the file; it ends with its holder, however that ends."""
    try:
        import fcntl
    except ImportError:  # no POSIX: whoever writes last, wins
        yield
        return
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
