"""Look whether everything that pondctl needs is there and works: each part by itself, and in bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pondctl.errors import ExitCode, PondctlError
from pondctl.services.doctoring.found import Found, Level, finding, of_error, worst

Ask = Callable[[], Iterable[Found]]

_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One part; `ask` finds out, and may raise what a command would end with."""

    name: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Examination:
    """What all probes found."""

    found: Sequence[tuple[str, Found]]

    @property
    def rows(self) -> Sequence[Mapping[str, object]]:
        """One row for each."""
        return [
            {"id": str(n), "level": f.level, "subject": name, "message": f.message, "remedy": f.remedy}
            for n, (name, f) in enumerate(self.found, 1)
        ]

    @property
    def exit_code(self) -> ExitCode:
        """The worst finding's."""
        return worst(found for _, found in self.found)


def examine(probes: Sequence[Probe], seconds: float = _SECONDS) -> Examination:
    """Ask all at once. One that fails or hangs keeps no other from its answer."""
    asked = [_Asked(probe) for probe in probes]
    deadline = time.monotonic() + seconds
    for each in asked:
        each.thread.join(max(0.0, deadline - time.monotonic()))
    told: set[str] = set()
    result: list[tuple[str, Found]] = []
    for each in asked:
        for found in each.answer(seconds):
            # A database that is away is one finding, however many probes it fails.
            if found.level is not Level.FINDING or found.message not in told:
                result.append((each.name, found))
            told.add(found.message)
    return Examination(result)


class _Asked:
    """A probe under way, on a thread that the end of the program does not wait for."""

    def __init__(self, probe: Probe) -> None:
        self.name = probe.name
        self._ask = probe.ask
        self._found: list[Found] | None = None
        self.thread = threading.Thread(target=self._run, name=f"probe-{probe.name}", daemon=True)
        self.thread.start()

    def answer(self, seconds: float) -> list[Found]:
        if self._found is None:
            remedy = "is it overloaded, or is a firewall swallowing what is sent to it?"
            late = f"no answer within {seconds:g} seconds"
            return [finding(late, remedy, ExitCode.UNAVAILABLE)]
        return self._found

    def _run(self) -> None:
        found: list[Found] = []
        try:
            # What was found before an error still counts.
            for each in self._ask():
                found.append(each)
        except PondctlError as error:
            found.append(of_error(error))
        except Exception as error:
            # A bug in one probe must not cost the others.
            what = f"the probe itself failed: {type(error).__name__}"
            found.append(finding(what, "this is a bug in pondctl; the other lines are right"))
        self._found = found
