"""A dry run of the life cycle: the very steps of the real run, as far as they only read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import Package
from pondctl.db.database import Database
from pondctl.errors import Category, DeviceError
from pondctl.models import DeviceOutcome, Operation, Outcome, Stop
from pondctl.services.lifecycle.carrier_calls import read
from pondctl.services.lifecycle.claiming import known_of
from pondctl.services.lifecycle.in_work import as_answer
from pondctl.services.lifecycle.instructions import Answer, Claimed, Ended, Plan, Read, Steps
from pondctl.services.lifecycle.packages import Objection, plan_termination
from pondctl.services.lifecycle.request import Work
from pondctl.services.running.report import Report
from pondctl.services.syncing.ask import ask_all

_PAGE = 500
Begin = Callable[[Work, Claimed], Steps[Ended]]


class Rehearsal:
    """Says for each device what would be done; writes nothing, claims nothing."""

    def __init__(
        self, database: Database, pond: PondClient, begin: Begin, operation: Operation, stop: Stop
    ) -> None:
        self._database = database
        self._pond = pond
        self._begin = begin
        self._operation = operation
        self._stop = stop
        self.counts: Counter[Outcome] = Counter()

    def run(self, works: Iterator[Work], report: Report, workers: int) -> None:
        """Read what each device needs, and report it."""
        for answer in ask_all(self._with_known(works), self._look, workers=workers, stop=self._stop):
            if answer is None or isinstance(answer.value, DeviceError):
                continue
            rows = answer.item[0].device_change_ids
            outcomes = [answer.value._replace(device_change_id=row) for row in rows] or [answer.value]
            self.counts.update(outcome.outcome for outcome in outcomes)
            report.devices(outcomes)

    def _with_known(self, works: Iterator[Work]) -> Iterator[tuple[Work, Claimed]]:
        while page := list(islice(works, _PAGE)):
            known = self._known([work.iccid for work in page])
            yield from ((work, known[work.iccid]) for work in page)

    def _known(self, iccids: list[str]) -> dict[str, Claimed]:
        return self._database.read(lambda unit: known_of(unit, iccids, unit.rate_plans.booked(iccids)))

    def _look(self, item: tuple[Work, Claimed]) -> DeviceOutcome:
        work, known = item
        refusal = work.refusal
        if refusal is None and known.locked is not None and self._operation is Operation.TERMINATE:
            refusal = (Category.GUARDED, f"locked: {known.locked}")
        if refusal is not None:
            return DeviceOutcome(work.iccid, Outcome.SKIPPED, refusal[0], detail=refusal[1])
        return self._drive(work, self._begin(work, known), known)

    def _drive(self, work: Work, steps: Steps[Ended], known: Claimed) -> DeviceOutcome:
        """Reads are made, waiting is not; before the first write the plan is the result."""
        first = "an earlier write is read back first; " if known.unresolved else ""
        answer: Answer = None
        try:
            while True:
                instruction = steps.send(answer)
                if isinstance(instruction, Plan):
                    return DeviceOutcome(work.iccid, Outcome.DONE, detail=f"{first}{instruction.detail}")
                answer = self._read(work.iccid, instruction) if isinstance(instruction, Read) else None
        except StopIteration as end:
            ended: Ended = end.value
            return ended.outcome
        finally:
            steps.close()

    def _read(self, iccid: str, wanted: Read) -> Answer:
        try:
            return as_answer(None, read(self._pond, iccid, wanted))
        except DeviceError as error:
            return error


def count_ends(
    pond: PondClient, works: Iterator[Work], package_id: str | None, *, workers: int, stop: Stop
) -> tuple[int, int]:
    """How many packages a termination would end, and of how many devices that could not be read."""
    ends = unread = 0

    def ask(work: Work) -> list[Package]:
        return pond.list_packages(work.iccid)

    wanted = (work for work in works if work.refusal is None)
    for answer in ask_all(wanted, ask, workers=workers, stop=stop):
        if answer is None:
            continue
        if isinstance(answer.value, DeviceError):
            unread += 1
            continue
        plan = plan_termination(answer.value, package_id)
        ends += 0 if isinstance(plan, Objection) else len(plan)
    return ends, unread
