"""Looks whether something is wrong, and records what began and what is over: once over all processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pondctl.config.sections import AlertSettings
from pondctl.db.alerts import OPEN, Alert
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import PermissionDeniedError
from pondctl.services.alerting.facts import DeadQueue, FactReader, note_unsaved
from pondctl.services.alerting.rules import Firing, Verdict, judge
from pondctl.telemetry.logger import Logger

_log = Logger()


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert as `status` shows it; `since` is None where it cannot be recorded."""

    kind: str
    subject: str
    detail: str
    since: object = None


@dataclass(frozen=True, slots=True)
class AlertWatch:
    """Everything that alerts are raised with."""

    database: Database
    reader: FactReader
    thresholds: AlertSettings

    def judge_only(self) -> list[OpenAlert]:
        """What is open now; nothing is recorded."""
        verdict = judge(self.reader.read(None), self.thresholds)
        return _unrecorded(verdict, self.database.read(lambda unit: unit.alerts.list_open()))

    def look(self, dead_queue: DeadQueue | None = None) -> list[OpenAlert]:
        """Judge, record where this login may, and return what is open now."""
        facts = self.reader.read(dead_queue)
        verdict = judge(facts, self.thresholds)
        known = self.database.read(lambda unit: unit.alerts.list_open())
        if not _differs(verdict, known) and (
            dead_queue is None or bool(facts.unsaved_seconds) == bool(dead_queue.messages)
        ):
            return [_as_open(alert) for alert in known]
        try:
            now = self.database.write(lambda unit: _record(unit, verdict, dead_queue))
        except PermissionDeniedError:
            return _unrecorded(verdict, known)
        _tell(known, now)
        return [_as_open(alert) for alert in now]


def _differs(verdict: Verdict, known: Sequence[Alert]) -> bool:
    keys = {alert.key for alert in known}
    new = any(each.key not in keys for each in verdict.firing)
    return new or any(verdict.is_over(alert.key, alert.kind) for alert in known)


def _record(unit: Unit, verdict: Verdict, dead_queue: DeadQueue | None) -> list[Alert]:
    note_unsaved(unit, dead_queue)
    for each in verdict.firing:
        unit.alerts.open(each.key, kind=each.kind, subject=each.subject, detail=each.detail)
    for alert in unit.alerts.list_open():
        if verdict.is_over(alert.key, alert.kind):
            unit.alerts.resolve(alert.key)
    return unit.alerts.list_open()


def _unrecorded(verdict: Verdict, known: Sequence[Alert]) -> list[OpenAlert]:
    """What would be recorded if this login might write."""
    still = [_as_open(alert) for alert in known if not verdict.is_over(alert.key, alert.kind)]
    keys = {alert.key for alert in known}
    return still + [_as_new(each) for each in verdict.firing if each.key not in keys]


def _tell(before: Sequence[Alert], now: Sequence[Alert]) -> None:
    keys = {alert.key for alert in before}
    for alert in now:
        if alert.key not in keys:
            _log.warning("alert raised", kind=alert.kind, subject=alert.subject, detail=alert.detail)
    for alert in before:
        if alert.key not in {each.key for each in now}:
            _log.warning("alert resolved", kind=alert.kind, subject=alert.subject)


def _as_open(alert: Alert) -> OpenAlert:
    return OpenAlert(alert.kind, alert.subject, alert.detail, alert.raised_at)


def _as_new(firing: Firing) -> OpenAlert:
    return OpenAlert(firing.kind, firing.subject, firing.detail)


__all__ = ["OPEN", "AlertWatch", "OpenAlert"]
