"""Takes rows of the audit trail into a `ChainCheck`: here, or many of them in processes of their own.

What such a process comes to is taken where it fits. Where it does not, or where there is no such process
(no Python to start, no connection left), the rows are taken here: the verdict is the same either way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import Final

from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.services.auditing.check import ChainCheck, Part
from pondctl.telemetry.audit import AuditKey

_PAGE: Final = 20_000
_MOST: Final = 4
# Alone, with the modules of this process: nothing in the working folder or the environment has a say. What
# the process needs to know comes through a pipe: a list of processes shows no key and no password.
_COMMAND: Final = (
    "-I",
    "-c",
    "import json, sys; job = json.loads(sys.stdin.readline()); sys.path[:] = job.pop('path'); "
    "from pondctl.services.auditing.reading import help_out; help_out(**job)",
)
Span = tuple[int, int]


def take_span(database: Database, check: ChainCheck, span: Span) -> None:
    """Take the rows from the first id to the last, as far as they fit."""
    check.last_id = span[0] - 1
    while database.read(partial(_take_page, check, span[1])):
        pass


def take_parts(
    database: Database,
    check: ChainCheck,
    keys: Sequence[AuditKey],
    ends: Mapping[int, str],
    spans: Sequence[Span],
) -> None:
    """The same of several spans that follow each other, with as many processes as there are processors."""
    with ExitStack() as stack:
        count = min(_MOST, processors(), len(spans))
        shares = [stack.enter_context(helper(database, keys, ends, spans[i::count])) for i in range(count)]
        for number, span in enumerate(spans):
            part = next(shares[number % count], None)
            if part is None or not check.join(part):
                take_span(database, check, span)
            if check.bad is not None:
                return


def processors() -> int:
    """How many of them this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def help_out(
    url: str, schema: str, keys: Sequence[str], ends: Mapping[str, str], spans: Sequence[Span]
) -> None:
    """What the other process does: a line for each span, empty where a row does not fit."""
    database = Database.open(url, state_schema=schema)
    known = {key.id: key for key in (AuditKey(bytes.fromhex(secret)) for secret in keys)}
    kept = {int(sequence): mac for sequence, mac in ends.items()}
    for first, last in spans:
        check = ChainCheck(known, kept, of_part=True)
        take_span(database, check, (first, last))
        part = check.part
        sys.stdout.write(json.dumps(part and asdict(part), default=list) + "\n")
        sys.stdout.flush()


def _take_page(check: ChainCheck, last_id: int, unit: Unit) -> bool:
    """Whether the page was full, and fits. After trouble it goes on where it was."""
    rows = 0
    for handful in unit.audit_rows.handfuls(check.last_id, last_id, _PAGE):
        rows += len(handful)
        if not check.take(handful):
            return False
    return rows == _PAGE


@contextmanager
def helper(
    database: Database, keys: Sequence[AuditKey], ends: Mapping[int, str], spans: Sequence[Span]
) -> Iterator[Iterator[Part | None]]:
    """A process at work on the spans; gives what each comes to, in their order."""
    url, schema = database.way_to_state
    secrets = [key.secret.hex() for key in keys]
    job = {
        "path": sys.path,
        "url": url,
        "schema": schema,
        "keys": secrets,
        "ends": dict(ends),
        "spans": spans,
    }
    try:
        process = subprocess.Popen(
            [sys.executable, *_COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            # Ctrl-C is for the process that was asked; it ends this one.
            start_new_session=True,
        )
    except OSError:
        yield iter(())
        return
    with process:
        try:
            yield _answers(process, json.dumps(job))
        finally:
            process.kill()


def _answers(process: subprocess.Popen[str], job: str) -> Iterator[Part | None]:
    """Hands the job over at once."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError), process.stdin:
        process.stdin.write(f"{job}\n")
    return map(_read, process.stdout)


def _read(line: str) -> Part | None:
    said = json.loads(line)
    return Part(**said) if said else None
