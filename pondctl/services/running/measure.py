"""What the metrics are told of a run that ended."""

from __future__ import annotations

from collections.abc import Mapping

from pondctl.db.database import Database
from pondctl.errors import PondctlError
from pondctl.models import Outcome
from pondctl.telemetry import metrics
from pondctl.telemetry.logger import Logger

_log = Logger()


def measure_run(
    database: Database,
    run_id: str,
    command: str,
    *,
    state: str,
    seconds: float,
    counts: Mapping[Outcome, int],
) -> None:
    """Count the run and its devices. Costs a query, so only while somebody wants to know."""
    if not metrics.is_on():
        return
    metrics.observe("pondctl_run_seconds", seconds, command=command)
    metrics.count("pondctl_runs_total", command=command, state=state)
    for (outcome, category), count in _decided(database, run_id, counts).items():
        metrics.count("pondctl_devices_total", count, command=command, outcome=outcome, category=category)


def _decided(database: Database, run_id: str, counts: Mapping[Outcome, int]) -> Mapping[tuple[str, str], int]:
    """By outcome and category. The database knows the categories of all that is not simply done."""
    if not counts:
        return {}
    found: Mapping[tuple[str, str], int] = {}
    try:
        found = database.read(lambda unit: unit.outcomes.tally(run_id))
    except PondctlError as error:
        _log.warning("categories are not measured", error=error.message)
    told = {outcome for outcome, _ in found}
    rest = {(str(outcome), ""): count for outcome, count in counts.items() if count and outcome not in told}
    return {**found, **rest}
