"""Look into the audit trail, and prove that nobody has touched it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pondctl.db.audit_rows import AuditFilter
from pondctl.db.database import Database
from pondctl.db.unit import Unit
from pondctl.errors import ExitCode
from pondctl.services._since import read_since
from pondctl.services._visible import visible_runs
from pondctl.services.auditing.check import ChainCheck
from pondctl.services.auditing.reading import take_parts, take_span
from pondctl.telemetry.audit import MAIN, AuditEntry, AuditKey, Link

_PAGE = 2000
# So many rows are verified before other processes would be at work.
_FEW = 50_000
_SPAN = 20_000
# At most, however far the ids are apart.
_SPANS = 200


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows; what is given narrows. `since`: as people type it."""

    run_id: str | None = None
    actor: str | None = None
    command: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class AuditList:
    """Rows, newest first, read as they are printed; and how many there are."""

    rows: Iterator[Mapping[str, object]]
    total: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at every row has shown."""

    record: Mapping[str, object]
    exit_code: ExitCode


def list_audit(database: Database, query: AuditQuery, limit: int | None) -> AuditList:
    """The newest rows that the query means.

    Where a profile is bound to service providers, rows of runs for others are left out, and those of
    runs that are known no more. A row of no run says what an operator asked for: it is everybody's.
    """

    def read(unit: Unit) -> tuple[AuditFilter, int, frozenset[str]]:
        since = read_since(query.since, unit.now()) if query.since else None
        wanted = AuditFilter(query.run_id, query.actor, query.command, since)
        if not unit.host_tables.service_provider_ids:
            return wanted, unit.audit_rows.count(wanted), frozenset()
        counts = unit.audit_rows.count_by_run(wanted)
        seen = {None, *(run.run_id for run in visible_runs(unit, unit.runs.list_recent(None)))}
        total = sum(count for run_id, count in counts.items() if run_id in seen)
        return wanted, total, frozenset(run_id for run_id in counts if run_id and run_id not in seen)

    wanted, total, hidden = database.read(read)
    return AuditList(_lines(database, wanted, total if limit is None else min(limit, total), hidden), total)


def verify_audit(database: Database, keys: Mapping[str, AuditKey], kept_ends: Mapping[int, str]) -> Verdict:
    """Go through all rows once; each of `kept_ends`, from outside the database, must be in the main chain."""
    check = ChainCheck(keys, kept_ends)
    # What is written from now on is left out: of that a later row might be seen before an earlier one.
    first, last = database.read(lambda unit: unit.audit_rows.ids())
    if last - first < _FEW:
        take_span(database, check, (first, last))
    else:
        width = max(_SPAN, (last - first) // _SPANS)
        spans = [(start, min(start + width - 1, last)) for start in range(first, last + 1, width)]
        take_parts(database, check, list(keys.values()), kept_ends, spans)
    check.finish()
    return Verdict(_told(check, bool(kept_ends)), ExitCode.OK if check.bad is None else ExitCode.PARTIAL)


def read_end(text: str) -> Link | None:
    """An end as `audit verify` prints it; None where it cannot be one."""
    sequence, _, mac = text.partition(":")
    is_one = sequence.isascii() and sequence.isdecimal() and len(mac) == 64 and mac.isalnum()  # noqa: PLR2004
    return Link(int(sequence), mac) if is_one else None


def _told(check: ChainCheck, has_ends: bool) -> Mapping[str, object]:
    end, bad = Link(*check.ends[MAIN]), check.bad
    return {
        "whole": bad is None,
        "rows": check.rows,
        "head": f"{end.sequence}:{end.mac}",
        "head_was_kept": has_ends,
        "first_bad": None if bad is None else {"id": str(bad.row_id), "place": bad.place, "what": bad.what},
        "open_actions": sorted(check.open_actions)[:100],
        "open_writes": sorted(check.open_writes)[:100],
        "open_runs": sorted(check.ends.keys() - {MAIN})[:100],
    }


def _lines(
    database: Database, wanted: AuditFilter, most: int, hidden: frozenset[str]
) -> Iterator[Mapping[str, object]]:
    before: int | None = None
    while most > 0 and (page := database.read(partial(_newest, wanted, before, min(most, _PAGE)))):
        before = page[-1][0]
        seen = [row for row in page if row[1].run_id not in hidden][:most]
        most -= len(seen)
        for row_id, entry in seen:
            yield _line(row_id, entry)


def _newest(wanted: AuditFilter, before: int | None, limit: int, unit: Unit) -> list[tuple[int, AuditEntry]]:
    return unit.audit_rows.newest(wanted, before, limit)


def _line(row_id: int, entry: AuditEntry) -> Mapping[str, object]:
    return {
        "id": str(row_id),
        "place": f"{entry.chain}:{entry.sequence}",
        "recorded": _moment(entry.recorded_at),
        "event": entry.event,
        "command": entry.command,
        "actor": entry.actor,
        "host": entry.host,
        "profile": entry.profile,
        "run_id": entry.run_id,
        "device": entry.device,
        "reason": entry.reason,
        "body": _read(entry.body),
    }


# Somebody may have been at a row; that is for `audit verify` to say.
def _read(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _moment(text: str) -> object:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return text
