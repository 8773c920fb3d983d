"""What people are notified of: alerts that began or are over, and devices whose status a run has changed.

Each once over all processes: whoever takes it in the database sends it. What no channel took is taken
again a minute later. A notification holds counts, never the devices themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pondctl.db.alerts import OPEN, Alert
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.db.vitals import SeenRun, Transition
from pondctl.errors import ConfigurationError
from pondctl.models import Outcome
from pondctl.telemetry import notify
from pondctl.telemetry.logger import Logger
from pondctl.telemetry.printable import printable
from pondctl.telemetry.redact import redact_text

_LINES: Final = 30
_log = Logger()


@dataclass(frozen=True, slots=True)
class Notices:
    """Sends what is to be told. `changes`: status changes too, not alerts alone."""

    database: Database
    urls: Sequence[str]
    profile: str
    changes: bool

    def send(self) -> None:
        """Tell what was not told yet. Takes as long as the channels do; raises what the database raises."""
        if not self.urls:
            return
        try:
            notify.require_apprise()
        except ConfigurationError as error:
            _log.warning("nobody is notified", error=error.message, hint=error.hint)
            return
        # Where nobody takes an alert, nobody takes anything: the time is spared.
        if self._send_alerts() and self.changes:
            self._send_changes()

    def _send_alerts(self) -> bool:
        if not self.database.read(lambda unit: unit.alerts.list_untold()):
            return True
        taken = self.database.write(_take_alerts)
        title, body = f"pondctl {self.profile}: {_gist(taken)}", _lines(map(_alert_line, taken))
        sent = not taken or notify.send(self.urls, title, body)
        if taken and sent:
            self.database.write(lambda unit: unit.alerts.mark_told(taken))
        return sent

    def _send_changes(self) -> None:
        if not self.database.read(lambda unit: unit.vitals.untold_runs()):
            return
        taken, transitions = self.database.write(_take_runs)
        told = [(run, line) for run in taken if (line := _run_line(run, transitions))]
        if not told:
            return
        changed = sum(_changed(run, transitions) for run, _ in told)
        devices = "1 device" if changed == 1 else f"{changed:,} devices"
        title = f"pondctl {self.profile}: the status of {devices} changed"
        if not notify.send(self.urls, title, _lines(line for _, line in told)):
            self.database.write(lambda unit: unit.vitals.give_back([run.run_id for run, _ in told]))


def _take_alerts(unit: Unit) -> list[Alert]:
    return [alert for alert in unit.alerts.list_untold() if unit.alerts.take(alert)]


def _take_runs(unit: Unit) -> tuple[list[SeenRun], list[Transition]]:
    untold = unit.vitals.untold_runs()
    ours = unit.vitals.take_runs([run.run_id for run in untold])
    taken = [run for run in untold if run.run_id in ours]
    return taken, unit.vitals.transitions([run.run_id for run in taken])


def _gist(alerts: Sequence[Alert]) -> str:
    raised = sum(alert.state == OPEN for alert in alerts)
    parts = [(raised, "raised"), (len(alerts) - raised, "resolved")]
    return "alerts: " + ", ".join(f"{count} {word}" for count, word in parts if count)


def _alert_line(alert: Alert) -> str:
    word = "RAISED" if alert.state == OPEN else "resolved"
    return f"{word} {alert.kind.replace('_', ' ')} ({alert.subject}): {alert.detail}"


def _run_line(run: SeenRun, transitions: Sequence[Transition]) -> str | None:
    """One run; None where it changed no device."""
    if not _changed(run, transitions):
        return None
    about = f" of {run.target.replace('_', ' ').replace(':', ' ')}" if run.target else ""
    parts = [_counts(run.counts), *(_step(each) for each in transitions if each.run_id == run.run_id)]
    return f"{run.command}{about} (run {run.run_id}): {'; '.join(filter(None, parts))}"


def _changed(run: SeenRun, transitions: Sequence[Transition]) -> int:
    seen = sum(each.count for each in transitions if each.run_id == run.run_id)
    return max(seen, run.counts.get(str(Outcome.DONE), 0))


def _counts(counts: Mapping[str, int]) -> str:
    known = ((outcome, counts.get(str(outcome), 0)) for outcome in Outcome)
    return ", ".join(f"{count:,} {outcome}" for outcome, count in known if count)


def _step(transition: Transition) -> str:
    return f"{transition.count:,} went from {transition.previous} to {transition.state}"


def _lines(lines: Iterator[str] | Sequence[str]) -> str:
    # Words of carriers stand in them.
    every = [printable(redact_text(line)) for line in lines]
    more = [f"… and {len(every) - _LINES:,} more"] if len(every) > _LINES else []
    return "\n".join(every[:_LINES] + more)
