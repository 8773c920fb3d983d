"""Look at bulk changes: how far each one is, what it waits for, what to run next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypedDict

from pondctl.db.database import Database
from pondctl.db.row_counts import RowCount
from pondctl.db.unit import Unit
from pondctl.models import BulkChange, BulkChangeSummary, Carrier
from pondctl.services._origin import origin_of
from pondctl.services._since import read_since
from pondctl.services._standing import (
    Standing,
    categories_of,
    command_by_hand,
    next_command,
    outcomes_of,
    span,
    waits_for,
)
from pondctl.services.queueing.dispatch import Rules

_SHARES = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class BulkSite:
    """Where bulk changes are, and which carrier's they are."""

    database: Database
    rules: Rules

    def carrier_of(self, bulk_change: BulkChange) -> Carrier | None:
        """Whose bulk change it is, whoever may work on it."""
        return replace(self.rules, allowed=frozenset()).carrier_of(bulk_change.service_provider_id)


@dataclass(frozen=True, slots=True)
class BulkQuery:
    """Which bulk changes; what is given narrows. `since`: as people type it."""

    status: str | None = None
    open_only: bool = False
    carrier: Carrier | None = None
    service_provider_id: int | None = None
    since: str | None = None


class _Narrowed(TypedDict):
    open_only: bool
    service_provider_ids: frozenset[int]
    other_than: frozenset[int]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class BulkList:
    """Some bulk changes, newest first, and how many there are."""

    rows: Sequence[Mapping[str, object]]
    total: int


def list_bulk_changes(site: BulkSite, query: BulkQuery, limit: int | None) -> BulkList:
    """The newest bulk changes with what their rows say now."""
    providers, others = _providers(site.rules, query)
    if providers is None:
        return BulkList([], 0)

    def read(unit: Unit) -> BulkList:
        now = unit.now()
        narrowed: _Narrowed = {
            "open_only": query.open_only,
            "service_provider_ids": providers,
            "other_than": others,
            "since": read_since(query.since, now) if query.since else None,
        }
        found = unit.bulk_changes.list_summaries(limit, query.status, **narrowed)
        rows = [
            _line(site, unit, standing, now, partial(_counts, unit, standing))
            for standing in standings(unit, found)
        ]
        return BulkList(rows, unit.bulk_changes.count(query.status, **narrowed))

    return site.database.read(read)


def show_bulk_change(site: BulkSite, bulk_change_id: int) -> Mapping[str, object]:
    """One bulk change: header, rows by outcome, times to activation, and what it waits for.

    Raises `NotFoundError` where there is none with this id.
    """

    def read(unit: Unit) -> Mapping[str, object]:
        [standing] = standings(unit, [unit.bulk_changes.summary(bulk_change_id)])
        header, run, check = standing.summary.bulk_change, standing.run, standing.check
        counts = _counts(unit, standing)
        outcomes, categories = outcomes_of(counts, standing.unresolved), categories_of(counts)
        return {
            **_line(site, unit, standing, unit.now(), lambda: counts),
            "open": standing.open_rows,
            "counts": outcomes,
            "categories": categories,
            "tenant_id": header.tenant_id,
            "created_by": header.created_by,
            "processed": header.processed_date,
            "run": run.run_id if run else None,
            "next_check": check.retry_number if check else None,
            "next_check_seconds": max(0, round(check.seconds_until_due)) if check else None,
            "cancelled_because": _why_cancelled(standing),
            "dead_letters": standing.letter.count if standing.letter else 0,
            "unknown_writes": standing.unresolved,
            **_activation_times(unit, header),
        }

    return site.database.read(read)


def standings(unit: Unit, summaries: Sequence[BulkChangeSummary]) -> list[Standing]:
    """Where these bulk changes stand; a few statements for up to a thousand of them."""
    found: list[Standing] = []
    for start in range(0, len(summaries), 1000):
        chunk = summaries[start : start + 1000]
        ids = [summary.bulk_change.id for summary in chunk]
        runs = unit.runs.holders([f"bulk_change:{each}" for each in ids])
        checks, letters = unit.bulk_facts.coming_checks(ids), unit.bulk_facts.open_letters(ids)
        unresolved, cancelled = unit.bulk_facts.unresolved_rows(ids), unit.bulk_facts.cancellations(ids)
        found += [
            Standing(
                summary,
                runs.get(f"bulk_change:{each}"),
                checks.get(each),
                letters.get(each),
                unresolved.get(each, 0),
                cancelled.get(each),
            )
            for each, summary in zip(ids, chunk, strict=True)
        ]
    return found


def _counts(unit: Unit, standing: Standing) -> Sequence[RowCount]:
    return unit.row_counts.by_state(standing.summary.bulk_change.id)


def _line(
    site: BulkSite, unit: Unit, standing: Standing, now: datetime, counts: Callable[[], Sequence[RowCount]]
) -> dict[str, object]:
    summary, header = standing.summary, standing.summary.bulk_change
    age = (now - header.created_date).total_seconds() if header.created_date else None
    carrier = site.carrier_of(header)
    by_hand = partial(_by_hand, unit, header, carrier)
    return {
        "id": str(header.id),
        "status": header.status,
        "type": header.change_request_type,
        "service_provider_id": str(header.service_provider_id),
        "carrier": carrier and str(carrier),
        "devices": summary.devices,
        "settled": summary.settled,
        "with_errors": summary.with_errors,
        "without_msisdn": summary.without_msisdn,
        "created": header.created_date,
        "age_seconds": None if age is None else round(age),
        "age": None if age is None else span(max(0.0, age)),
        "waits_for": waits_for(standing),
        "next": next_command(standing, by_hand, counts),
    }


def _why_cancelled(standing: Standing) -> str | None:
    return standing.cancellation.reason if standing.cancellation and standing.is_cancelled else None


def _by_hand(unit: Unit, header: BulkChange, carrier: Carrier | None) -> str | None:
    if carrier is not Carrier.POND:
        return command_by_hand(header.id, carrier, None, None)
    request = unit.row_counts.first_open_request(header.id)
    return command_by_hand(header.id, carrier, origin_of(unit, header), request)


def _activation_times(unit: Unit, header: BulkChange) -> dict[str, object]:
    """From the making of the bulk change until its runs first saw a device active."""
    count, times = unit.observations.activation_times(f"bulk_change:{header.id}", _SHARES)
    created = header.created_date
    seconds = [round((time - created).total_seconds()) for time in times] if created else []
    p50, p95 = seconds or (None, None)
    return {"seen_active": count, "activation_seconds_p50": p50, "activation_seconds_p95": p95}


def _providers(rules: Rules, query: BulkQuery) -> tuple[frozenset[int] | None, frozenset[int]]:
    """The service providers that are asked for (empty: all but the second ones); None: there can be none."""
    named = frozenset(() if query.service_provider_id is None else (query.service_provider_id,))
    if query.carrier is None:
        return named, frozenset()
    if query.carrier is Carrier.THINGSPACE and not rules.thingspace:
        return named, rules.pond
    of_carrier = rules.thingspace if query.carrier is Carrier.THINGSPACE else rules.pond - rules.thingspace
    wanted = named & of_carrier if named else of_carrier
    return wanted or None, frozenset()
