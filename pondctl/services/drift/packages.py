"""Where the host's package rows, lost writes and POND disagree about one SIM. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.db.open_intents import OpenIntent
from pondctl.db.package_rows import PackageRow
from pondctl.db.scratch_sims import Sim
from pondctl.db.step_records import StepKind
from pondctl.models import Operation
from pondctl.services.drift.kinds import Drift, Kind, Mender
from pondctl.services.lifecycle.instructions import write_from
from pondctl.services.lifecycle.packages import named, newest_first
from pondctl.services.lifecycle.read_back import shows

_OVER = PackageStatus.TERMINATED.value


def judge_sim(
    sim: Sim, rows: Sequence[PackageRow], packages: Sequence[Package], service_provider_id: int
) -> Iterator[Drift]:
    """What is wrong, given a complete listing. `service_provider_id`: whose row a new one will be."""
    shown = {package.package_id: package for package in packages}
    for row in rows:
        package = shown.get(row.package_id)
        drift = _extra(sim, row) if package is None else _differs(sim, row, package)
        if drift is not None:
            yield drift
    known = {row.package_id for row in rows}
    for package in packages:
        if package.package_id not in known:
            yield from _unknown(sim, package, service_provider_id)
    active = newest_first(p for p in packages if p.status is PackageStatus.ACTIVE)
    if len(active) > 1:
        yield _two_active(sim, active, packages)
    if sim.is_right and sim.operation == Operation.ACTIVATE and not active:
        there = named(packages) if packages else None
        yield Drift(Kind.SETTLED_NOT_ACTIVE, sim.iccid, sim.bulk_change_id, here="PROCESSED", there=there)


def judge_unknown_sim(sim: Sim, rows: Sequence[PackageRow]) -> Iterator[Drift]:
    """POND says that it has no such SIM: a person has to find out, nothing is ended because of it."""
    for row in rows:
        if row.status.upper() != _OVER:
            yield Drift(Kind.PACKAGE_ROW_EXTRA, sim.iccid, here=_row_named(row))
    if sim.is_right and sim.operation == Operation.ACTIVATE:
        yield Drift(Kind.SETTLED_NOT_ACTIVE, sim.iccid, sim.bulk_change_id, here="PROCESSED")


def judge_intent(intent: OpenIntent, packages: Sequence[Package] | None) -> Drift:
    """A write whose answer is not known, and what a listing (None: there is none) shows of its effect."""
    write, proof = intent.write, None
    if packages is not None and write.kind is not StepKind.SET_SERVICES:
        proof = shows(write_from(write.kind, write.intent), packages)
    return Drift(
        Kind.OPEN_INTENT,
        write.iccid,
        intent.bulk_change_id,
        here=f"{write.kind} of run {write.key.run_id}: {intent.state} since {intent.opened_at}",
        there=named([proof]) if proof else None,
        mend="read it back and close it",
        mender=Mender.APPLY,
        fix={"step": str(write.key)},
    )


def ends_text(ends: Sequence[Package]) -> str:
    """What a reviewed plan would do."""
    return f"only by a reviewed plan: end {named(ends)}"


def seen(packages: Sequence[Package]) -> list[list[str]]:
    """Ids and status words, in order: two listings with the same ones show the same."""
    return sorted([package.package_id, package.carrier_status] for package in packages)


def _extra(sim: Sim, row: PackageRow) -> Drift | None:
    if row.status.upper() == _OVER:
        return None
    return Drift(
        Kind.PACKAGE_ROW_EXTRA,
        sim.iccid,
        here=_row_named(row),
        mend=f"mark package {row.package_id} as {_OVER}",
        mender=Mender.APPLY,
        fix={"row": row.id, "was": row.status, "becomes": _OVER, "type": None},
    )


def _differs(sim: Sim, row: PackageRow, package: Package) -> Drift | None:
    same_status = row.status.upper() == package.carrier_status.upper()
    same_type = package.package_type_id in (None, row.package_type_id)
    if same_status and same_type:
        return None
    becomes = row.status if same_status else package.carrier_status
    return Drift(
        Kind.PACKAGE_ROW_DIFFERS,
        sim.iccid,
        here=_row_named(row),
        there=named([package]),
        mend=f"write {package.carrier_status}, type {package.package_type_id or row.package_type_id}",
        mender=Mender.APPLY,
        fix={"row": row.id, "was": row.status, "becomes": becomes, "type": package.package_type_id},
    )


def _unknown(sim: Sim, package: Package, service_provider_id: int) -> Iterator[Drift]:
    match package.status:
        case PackageStatus.TERMINATED:
            return  # over, and never known: nothing to keep
        case PackageStatus.NOT_ACTIVE:
            fix: dict[str, object] = {"end": [package.package_id], "seen": seen([package])}
            yield Drift(
                Kind.ORPHAN_PACKAGE,
                sim.iccid,
                there=named([package]),
                mend=ends_text([package]),
                mender=Mender.PLAN,
                fix=fix,
            )
        case _ if package.package_type_id is None:
            yield Drift(Kind.PACKAGE_ROW_MISSING, sim.iccid, there=named([package]))
        case _:
            yield Drift(
                Kind.PACKAGE_ROW_MISSING,
                sim.iccid,
                there=named([package]),
                mend=f"write package {package.package_id}",
                mender=Mender.APPLY,
                fix={
                    "package": package.package_id,
                    "type": package.package_type_id,
                    "status": package.carrier_status,
                    "provider": service_provider_id,
                },
                aside={"left_bytes": package.data_usage_remaining_in_bytes},
            )


def _two_active(sim: Sim, active: Sequence[Package], packages: Sequence[Package]) -> Drift:
    """The newest is the one that stays, as an activation would have it."""
    return Drift(
        Kind.TWO_ACTIVE_PACKAGES,
        sim.iccid,
        there=named(active),
        mend=ends_text(active[1:]),
        mender=Mender.PLAN,
        fix={"end": [package.package_id for package in active[1:]], "seen": seen(active)},
    )


def _row_named(row: PackageRow) -> str:
    return f"package {row.package_id} (type {row.package_type_id}, {row.status})"
