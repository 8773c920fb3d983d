"""When something is worth a person's attention. Pure: facts and thresholds in, what is wrong out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from pondctl.config.sections import AlertSettings
from pondctl.db.vitals import SeenRun
from pondctl.errors import AuthenticationError
from pondctl.models import Outcome
from pondctl.services._standing import span
from pondctl.services.alerting.facts import Facts

_BAD = (Outcome.FAILED, Outcome.UNKNOWN)
# What an alert about something that is over stays open for: it would be gone before anybody saw it.
_HOUR = 3600.0
# It reads whole accounts, and may take its time.
_SLOW_BY_NATURE = "reconcile"


class Kind(StrEnum):
    """What can be wrong."""

    FAILURES = "failures"
    SLOW_RUN = "slow_run"
    AUTHENTICATION = "authentication"
    RATE_LIMITED = "rate_limited"
    DEAD_LETTERS = "dead_letters"
    STUCK_HEADER = "stuck_header"
    STALE_WORKER = "stale_worker"


@dataclass(frozen=True, slots=True)
class Firing:
    """Something is wrong."""

    kind: Kind
    subject: str
    detail: str

    @property
    def key(self) -> str:
        """The same thing has the same key."""
        return f"{self.kind}:{self.subject}"[:200]


@dataclass(slots=True)
class Verdict:
    """What is wrong; and what was looked at: of the rest nobody knows whether it still is."""

    firing: list[Firing] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)

    def is_over(self, key: str, kind: str) -> bool:
        """Whether an alert that was raised has nothing to stand on any more."""
        return (kind in self.judged or key in self.judged) and all(each.key != key for each in self.firing)


def judge(facts: Facts, limits: AlertSettings) -> Verdict:
    """Everything that is wrong now."""
    verdict = Verdict()
    whole = [Kind.SLOW_RUN, Kind.RATE_LIMITED, Kind.STUCK_HEADER, Kind.STALE_WORKER]
    verdict.judged.update(whole)
    verdict.firing += [*_slow(facts, limits), *_throttled(facts, limits), *_stuck(facts, limits)]
    verdict.firing += _dead_workers(facts, limits)
    _judge_commands(verdict, facts, limits)
    _judge_login(verdict, facts)
    _judge_letters(verdict, facts, limits)
    return verdict


def _judge_commands(verdict: Verdict, facts: Facts, limits: AlertSettings) -> None:
    """Failures and refused credentials are those of a command, until a later run of it goes well."""
    ended: dict[str, list[SeenRun]] = {}
    for run in facts.runs:
        if run.ago is not None:
            ended.setdefault(run.command, []).append(run)
    for command, runs in ended.items():
        _judge_failures(verdict, command, runs, limits.max_error_rate)
        refused = runs[0].error_code == AuthenticationError.code
        verdict.judged.add(f"{Kind.AUTHENTICATION}:{command}")
        if refused:
            detail = f"run {runs[0].run_id} ended because the credentials were refused"
            verdict.firing.append(Firing(Kind.AUTHENTICATION, command, detail))


def _judge_failures(verdict: Verdict, command: str, runs: list[SeenRun], most: float) -> None:
    counted = [(run, *_share(run)) for run in runs]
    telling = [(run, bad, total) for run, bad, total in counted if total]
    if not telling:
        return
    verdict.judged.add(f"{Kind.FAILURES}:{command}")
    # The newest one, and what else there was within the hour: another run may have gone well meanwhile.
    looked_at = [each for place, each in enumerate(telling) if place == 0 or (each[0].ago or 0) < _HOUR]
    wrong = [(run, bad, total) for run, bad, total in looked_at if bad > most * total]
    if wrong:
        run, bad, total = max(wrong, key=lambda each: each[1] / each[2])
        detail = f"{bad:,} of {total:,} devices failed or are unknown in run {run.run_id} ({bad / total:.0%})"
        verdict.firing.append(Firing(Kind.FAILURES, command, detail))


def _share(run: SeenRun) -> tuple[int, int]:
    words = {str(outcome) for outcome in Outcome}
    total = sum(count for word, count in run.counts.items() if word in words)
    return sum(run.counts.get(str(outcome), 0) for outcome in _BAD), total


def _slow(facts: Facts, limits: AlertSettings) -> Iterator[Firing]:
    for run in facts.runs:
        lately = run.ago is None or run.ago < _HOUR
        if lately and run.seconds > limits.run_minutes * 60 and run.command != _SLOW_BY_NATURE:
            about = f" on {run.target.replace('_', ' ').replace(':', ' ')}" if run.target else ""
            word = "has been at work for" if run.ago is None else "took"
            yield Firing(Kind.SLOW_RUN, run.run_id, f"{run.command}{about} {word} {span(run.seconds)}")


def _throttled(facts: Facts, limits: AlertSettings) -> Iterator[Firing]:
    for name, ago in facts.throttled.items():
        if ago < limits.rate_limit_minutes * 60:
            carrier = name.partition(":")[0]
            detail = f"{carrier} answered: too many requests; pondctl sends fewer by itself"
            yield Firing(Kind.RATE_LIMITED, name, detail)


def _stuck(facts: Facts, limits: AlertSettings) -> Iterator[Firing]:
    for bulk_change_id in facts.stuck:
        since = span(limits.stuck_minutes * 60)
        detail = f"bulk change {bulk_change_id} was begun and has had neither a run nor a check for {since}"
        yield Firing(Kind.STUCK_HEADER, str(bulk_change_id), detail)


def _dead_workers(facts: Facts, limits: AlertSettings) -> Iterator[Firing]:
    for worker in facts.workers:
        if worker.silent_seconds > limits.worker_seconds:
            detail = (
                f"the worker on {worker.name} has given no sign of life for {span(worker.silent_seconds)}"
            )
            yield Firing(Kind.STALE_WORKER, worker.name, detail)


def _judge_login(verdict: Verdict, facts: Facts) -> None:
    if facts.refused_logins is None:
        return
    verdict.judged.add(f"{Kind.AUTHENTICATION}:thingspace login")
    if facts.refused_logins:
        detail = f"ThingSpace refused the last {facts.refused_logins} logins; at 2 pondctl stops trying"
        verdict.firing.append(Firing(Kind.AUTHENTICATION, "thingspace login", detail))


def _judge_letters(verdict: Verdict, facts: Facts, limits: AlertSettings) -> None:
    verdict.judged.add(f"{Kind.DEAD_LETTERS}:inbox")
    hours = limits.dead_letter_hours
    if facts.expiring:
        detail = f"open dead letters that expire within {hours:g} hours: {facts.expiring:,}"
        verdict.firing.append(Firing(Kind.DEAD_LETTERS, "inbox", detail))
    dead = facts.dead_queue
    if dead is None:
        return
    verdict.judged.add(f"{Kind.DEAD_LETTERS}:{dead.name}")
    left = dead.retention_seconds - facts.unsaved_seconds
    if dead.messages and left < hours * 3600:
        detail = (
            f"{dead.messages:,} messages have lain in {dead.name} for {span(facts.unsaved_seconds)} and "
            f"expire within {span(max(0.0, left))}; `pondctl dead-letter pull` saves them"
        )
        verdict.firing.append(Firing(Kind.DEAD_LETTERS, dead.name, detail))
