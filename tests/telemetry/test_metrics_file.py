from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from pondctl.telemetry import metrics
from pondctl.telemetry.metrics_file import add_to_file

HOSTILE = 'a"b\\c\nd{},'


def test_what_is_written_is_read_back_and_added_to_whatever_a_label_holds(tmp_path: Path) -> None:
    path = tmp_path / "pondctl.prom"
    for _ in range(2):
        metrics.switch(on=True)
        metrics.count("pondctl_runs_total", 2, command=HOSTILE, state="done")
        metrics.observe("pondctl_run_seconds", 2.5, command=HOSTILE)
        metrics.observe("pondctl_run_seconds", 10**6, command=HOSTILE)
        metrics.note("pondctl_dead_letters", 7)
        add_to_file(path, metrics.take(), profile=HOSTILE)
    metrics.switch(on=False)

    families = {family.name: family for family in text_string_to_metric_families(path.read_text())}
    [runs] = families["pondctl_runs"].samples
    assert (runs.value, runs.labels["command"], runs.labels["profile"]) == (4, HOSTILE, HOSTILE)
    assert families["pondctl_dead_letters"].samples[0].value == 7
    seconds = families["pondctl_run_seconds"]
    assert seconds.type == "histogram"
    by_bound = {s.labels["le"]: s.value for s in seconds.samples if s.name.endswith("_bucket")}
    assert (by_bound["1.0"], by_bound["5.0"], by_bound["+Inf"]) == (0, 2, 4)
    assert list(by_bound) == sorted(by_bound, key=float)


def test_what_could_not_be_written_counts_the_next_time() -> None:
    metrics.switch(on=True)
    metrics.count("pondctl_runs_total", command="x", state="done")
    metrics.observe("pondctl_run_seconds", 2.5, command="x")
    taken = metrics.take()
    metrics.count("pondctl_runs_total", command="x", state="done")
    metrics.give_back(taken)

    both = metrics.take()
    metrics.switch(on=False)

    assert list(both.counters.values()) == [2]
    assert sum(next(iter(both.buckets.values()))) == 1
    assert metrics.take().is_empty()


def test_while_nobody_wants_to_know_nothing_is_kept() -> None:
    metrics.switch(on=False)
    metrics.count("pondctl_runs_total", command="x", state="done")

    assert metrics.take().is_empty()
