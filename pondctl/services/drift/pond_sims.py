"""Which SIMs there are to ask POND about, which of them first, and when each was looked at before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from pondctl.db.device_checks import DeviceCheck
from pondctl.db.open_intents import OpenIntent
from pondctl.db.package_rows import PackageRow
from pondctl.db.records import RunRecord
from pondctl.db.unit import Unit
from pondctl.models import normalize_iccid
from pondctl.services.drift.comparison import Comparison
from pondctl.services.lifecycle.claiming import is_over

_PAGE: Final = 2000

Intents = dict[str, list[OpenIntent]]


def lost_writes(c: Comparison) -> Intents:
    """Writes whose answer is not known, by ICCID. Those of a run that is at work are in flight."""
    found: Intents = {}
    over: dict[str, bool] = {}
    after = 0
    while page := c.database.read(partial(_intent_page, after)):
        after = page[-1].id
        for intent in page:
            run_id = intent.write.key.run_id
            if run_id not in over:
                over[run_id] = is_over(c.database.read(partial(_run, run_id)))
            if over[run_id] and c.may_touch(intent.service_provider_id):
                found.setdefault(intent.write.iccid, []).append(intent)
    return found


def gather_sims(c: Comparison, intents: Mapping[str, Sequence[OpenIntent]], *, everything: bool) -> None:
    """Add the SIMs of all package rows to those that rows of bulk changes name, and say which are urgent."""
    known = c.sims.find(list(intents))
    c.sims.add_urgent(
        (iccid, of_device[0].service_provider_id)
        for iccid, of_device in intents.items()
        if everything or iccid in known
    )
    after = 0
    while everything and not c.is_over and (page := c.database.read(partial(_package_page, after))):
        after = page[-1].id
        c.sims.add(_sims_of(c, page))


def read_checks(c: Comparison) -> None:
    """When the SIMs were looked at before."""
    after = 0
    while page := c.database.read(partial(_check_page, after)):
        after = page[-1].id
        c.sims.checked((check.iccid, check.checked_at) for check in page)


def _sims_of(c: Comparison, page: Sequence[PackageRow]) -> Iterator[tuple[str, int]]:
    for row in page:
        iccid = normalize_iccid(row.iccid)
        if iccid is not None and row.is_found and c.may_touch(row.service_provider_id):
            yield iccid, row.service_provider_id


def _package_page(after: int, unit: Unit) -> list[PackageRow]:
    return unit.package_rows.page(after, _PAGE)


def _intent_page(after: int, unit: Unit) -> list[OpenIntent]:
    return unit.open_intents.page(after, _PAGE)


def _check_page(after: int, unit: Unit) -> list[DeviceCheck]:
    return unit.device_checks.page(after, _PAGE)


def _run(run_id: str, unit: Unit) -> RunRecord:
    return unit.runs.get(run_id)
