"""Several bulk changes in one command: each in a run of its own, one after the other, told as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pondctl.db.database import Database
from pondctl.errors import (
    PRECEDENCE,
    AuthenticationError,
    CarrierUnavailableError,
    ExitCode,
    ListingError,
    PermissionDeniedError,
    PondctlError,
    QueueUnavailableError,
)
from pondctl.models import Carrier, DeviceOutcome, Outcome, Retry, RunResult, Stop
from pondctl.services.queueing.outbox import Outbox, sent_afterwards
from pondctl.services.running.actor import Actor, raise_if_stopped
from pondctl.services.running.report import Report
from pondctl.services.running.run import Run, claimed_run

# What one of these says of one bulk change holds for all others of its carrier.
_OF_THE_CARRIER = (AuthenticationError, CarrierUnavailableError, ListingError, PermissionDeniedError)
_NOT_STARTED = (ExitCode.USAGE, ExitCode.BUSY)
_NAMED = 20

# Works on one bulk change, within a run that holds it (None: a dry run).
Job = Callable[[Run | None, Report], RunResult]


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one bulk change."""

    bulk_change_id: int
    run_id: str
    counts: Mapping[Outcome, int]
    retry: Retry | None
    hints: tuple[str, ...]
    trouble: PondctlError | None

    def told(self) -> Iterator[str]:
        """For people, where the whole has no line of its own for it."""
        yield from self.hints
        if self.retry is not None:
            yield f"check number {self.retry.retry_number} is due in {self.retry.delay_seconds} s"
        if self.trouble is not None:
            yield self.trouble.message

    def as_mapping(self) -> dict[str, object]:
        """For json."""
        retry = self.retry
        return {
            "id": str(self.bulk_change_id),
            "run_id": self.run_id,
            "counts": {str(outcome): count for outcome, count in self.counts.items()},
            "retry": retry and {"retry_number": retry.retry_number, "delay_seconds": retry.delay_seconds},
            "error": self.trouble and {"code": self.trouble.code, "message": self.trouble.message},
        }


@dataclass(frozen=True, slots=True)
class Frame:
    """What all parts share. `several`: the parts have runs of their own, named after `run_id`."""

    command: str
    run_id: str
    database: Database
    stop: Stop
    actor: Actor
    arguments: Mapping[str, object]
    total: int
    outbox: Outbox | None = None
    bulk_change_id: int | None = None
    several: bool = False
    dry_run: bool = False

    @property
    def has_own_run(self) -> bool:
        """Whether the whole is kept as a run beside those of its parts."""
        return self.several and not self.dry_run


@contextmanager
def all_parts(frame: Frame, report: Report) -> Iterator[Parts]:
    """The parts of one command. The block ends with `finish`."""
    parts = Parts(frame, report)
    if not frame.has_own_run:
        yield parts
        return
    with claimed_run(
        frame.database,
        frame.stop,
        run_id=frame.run_id,
        command=frame.command,
        target=None,
        actor=frame.actor,
        arguments=frame.arguments,
    ):
        yield parts


class Parts:
    """Does one part after the other, and remembers the trouble they had."""

    def __init__(self, frame: Frame, report: Report) -> None:
        self._frame = frame
        self._report = report
        self._opened = False
        self._counts: Counter[Outcome] = Counter()
        self._down: set[Carrier] = set()
        self._over = False
        self._parts: list[Part] = []
        self._not_begun: list[int] = []

    def decided(self, outcomes: Sequence[DeviceOutcome]) -> None:
        """Devices that need no bulk change to be decided."""
        self._open()
        self._counts.update(outcome.outcome for outcome in outcomes)
        self._report.devices(outcomes)

    def work(self, bulk_change_id: int, carrier: Carrier, job: Job) -> None:
        """Do one part, unless what happened before stands against it; trouble is kept for the end."""
        frame = self._frame
        if self._over or carrier in self._down or frame.stop.is_set():
            self._not_begun.append(bulk_change_id)
            return
        run_id = f"{frame.run_id}.{len(self._parts) + 1}" if frame.several else frame.run_id
        listener = _PartReport(self._report, self._open)
        result, trouble = None, None
        try:
            result = self._claim_and_do(bulk_change_id, run_id, listener, job)
        except PondctlError as error:
            trouble = error
            self._remember(error, carrier)
        self._counts.update(listener.counts)
        retry, hints = (result.retry, result.hints) if result else (None, ())
        self._parts.append(Part(bulk_change_id, run_id, listener.counts, retry, hints, trouble))

    def finish(self, hints: Sequence[str] = ()) -> RunResult:
        """Tell the whole, then raise the worst trouble; that alone where nothing was begun."""
        frame = self._frame
        troubles = sorted((part.trouble for part in self._parts if part.trouble is not None), key=_gravity)
        if troubles and not self._opened:
            raise troubles[0]
        self._open()
        result = RunResult(
            command=frame.command,
            run_id=frame.run_id,
            counts=dict(self._counts),
            dry_run=frame.dry_run,
            bulk_change_id=frame.bulk_change_id,
            retry=self._parts[0].retry if self._parts and not frame.several else None,
            hints=(*hints, *self._hints()),
            extra={"bulk_changes": [part.as_mapping() for part in self._parts]} if frame.several else {},
        )
        self._report.finish(result)
        worst = [error for error in troubles if error.exit_code not in _NOT_STARTED]
        if not worst and frame.has_own_run:
            frame.database.write(lambda unit: unit.runs.finish(frame.run_id, "done", self._counts, None))
        if worst:
            raise worst[0]
        raise_if_stopped(frame.stop, f"run the same pondctl {frame.command} again")
        return result

    def _claim_and_do(self, bulk_change_id: int, run_id: str, listener: _PartReport, job: Job) -> RunResult:
        frame = self._frame
        if frame.dry_run:
            return job(None, listener)
        with (
            sent_afterwards(frame.outbox, bulk_change_id),
            claimed_run(
                frame.database,
                frame.stop,
                run_id=run_id,
                command=frame.command,
                target=f"bulk_change:{bulk_change_id}",
                actor=frame.actor,
                arguments={**frame.arguments, "bulk_change_id": bulk_change_id},
            ) as run,
        ):
            return job(run, listener)

    def _open(self) -> None:
        """Not before something has begun: until then an error is all there is to tell."""
        if not self._opened:
            self._opened = True
            frame = self._frame
            self._report.run(
                frame.run_id, bulk_change_id=frame.bulk_change_id, dry_run=frame.dry_run, total=frame.total
            )

    def _remember(self, error: PondctlError, carrier: Carrier) -> None:
        if isinstance(error, _OF_THE_CARRIER):
            self._down.add(carrier)
        elif error.exit_code not in _NOT_STARTED and not isinstance(error, QueueUnavailableError):
            self._over = True

    def _hints(self) -> list[str]:
        if not self._frame.several:
            return [hint for part in self._parts for hint in part.hints]
        said = [f"bulk change {part.bulk_change_id}: {text}" for part in self._parts for text in part.told()]
        if self._not_begun:
            ids = ", ".join(map(str, self._not_begun[:_NAMED])) + (", …" if self._not_begun[_NAMED:] else "")
            said.append(f"not begun: bulk change {ids}; run the same command again")
        return said


def _gravity(error: PondctlError) -> int:
    """What stands first in the table of exit codes is the truth to tell."""
    return PRECEDENCE.index(error.exit_code) if error.exit_code in PRECEDENCE else len(PRECEDENCE)


class _PartReport:
    """Passes devices and progress on; head and ending are those of the whole. `begin`: a part has begun."""

    def __init__(self, report: Report, begin: Callable[[], None]) -> None:
        self._report = report
        self._begin = begin
        self.counts: Counter[Outcome] = Counter()

    def run(self, run_id: str, *, bulk_change_id: int | None, dry_run: bool, total: int | None) -> None:
        self._begin()

    def phase(self, text: str, total: int | None) -> None:
        self._report.phase(text, total)

    def advance(self, steps: int) -> None:
        self._report.advance(steps)

    def devices(self, outcomes: Sequence[DeviceOutcome]) -> None:
        self._begin()
        self.counts.update(outcome.outcome for outcome in outcomes)
        self._report.devices(outcomes)

    def finish(self, result: RunResult) -> None:
        """The whole goes on."""
