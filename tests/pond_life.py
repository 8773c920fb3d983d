"""What the life-cycle tests look at: the carrier, the host's rows, the journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, Result, Row, World

WANTED, OTHER = 1001, 1002
PROVIDER = 4
# `PONDCTL_TEST_LONG=1` runs the numbers that are promised; a short form runs otherwise.
# Long enough to be seen, short enough for a test.
SETTLE = {"PONDCTL_POND__SETTLE_SECONDS": "0.4"}
A, B, C = ICCIDS[:3]


def sims(world: World, *iccids: str, packages: tuple[tuple[int, str], ...] = ()) -> None:
    """SIMs that hold these packages."""
    for iccid in iccids:
        world.sandbox.pond.add_sim(iccid, packages)


def standing(world: World, iccid: str, status: str = "ACTIVE") -> list[int]:
    """The types of a SIM's packages in this state, at the carrier."""
    return sorted(package.package_type_id for package in world.sandbox.pond.packages(iccid, status))


def own_table(world: World, name: str) -> str:
    """One of pondctl's own tables, for a statement."""
    return f'"pondctl_{name}"' if world.engine.dialect.name == "sqlite" else f"pondctl.{name}"


def in_database(world: World, iccid: str, status: str = "ACTIVE") -> list[int]:
    """The same as the host's table has it."""
    rows = [row for row in plans(world) if row["ICCID"] == iccid and row["Status"] == status]
    return sorted(row["PackageTypeId"] for row in rows)


def plans(world: World) -> list[Row]:
    """Every row of the host's table of packages."""
    return world.host("PondDeviceCarrierRatePlan")


def given_plan(
    world: World, iccid: str, package_id: str, package_type_id: int, status: str = "ACTIVE"
) -> None:
    """A row of the host's table of packages that somebody else wrote."""
    who = ("ICCID", "PackageId", "PackageTypeId", "Status")
    names = ", ".join(f'"{n}"' for n in (*who, "ServiceProviderId", "ProcessedBy", "CreatedDate", "IsActive"))
    world.execute(
        f'INSERT INTO "PondDeviceCarrierRatePlan" ({names}) '
        "VALUES (:iccid, :package_id, :type_id, :status, 4, 'host', '2026-01-01', 1)",
        iccid=iccid,
        package_id=package_id,
        type_id=package_type_id,
        status=status,
    )


def steps(world: World, kind: str | None = None) -> list[dict[str, Any]]:
    """Carrier writes in the journal, oldest first; intents and answers read."""
    rows = sorted(world.own("step"), key=lambda row: row["id"])
    return [
        row | {"intent": json.loads(row["intent"]), "answer": json.loads(row["answer"] or "null")}
        for row in rows
        if row["kind"] not in ("claim", "targets") and kind in (None, row["kind"])
    ]


def claims(world: World) -> list[Row]:
    """Device claims in the journal."""
    return [row for row in world.own("step") if row["kind"] == "claim"]


def devices(result: Any) -> dict[str, dict[str, Any]]:
    """The devices of a json result by ICCID."""
    return {device["iccid"]: device for device in result.json["devices"]}


def writes(world: World) -> int:
    """How many writes reached the simulated carrier."""
    names = ("pond.add_package", "pond.package_active", "pond.package_terminated", "pond.set_sim_status")
    return sum(world.calls(name) for name in names)


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def locked_while(
    world: World, endpoint: str, *words: object
) -> tuple[dict[str, dict[str, Any]], int, Result]:
    """Lock A while the carrier takes its time over a call: devices, exit code, and how the lock ended."""
    world.sandbox.fault(Fault(endpoint, FaultKind.LATENCY, 2, count=1, contains=A))
    before = world.calls(endpoint)
    process = world.spawn(*words, "-o", "json")
    until(lambda: world.calls(endpoint) > before)
    lock = world.run("device", "lock", A, "--reason", "lifts")
    out, _ = process.communicate(timeout=30)
    return {device["iccid"]: device for device in json.loads(out)["devices"]}, process.returncode, lock


def assert_in_order(world: World, *iccids: str, wanted: int = WANTED) -> None:
    """Exactly one ACTIVE package of the type at the carrier, the database alike, all on record."""
    added = steps(world, "add_package")
    for iccid in iccids:
        assert standing(world, iccid) == [wanted], (iccid, world.sandbox.pond.packages(iccid))
        assert in_database(world, iccid) == [wanted], iccid
        ids = {package.package_id for package in world.sandbox.pond.packages(iccid)}
        known = {row["PackageId"] for row in plans(world) if row["ICCID"] == iccid}
        assert ids == known, iccid
        done = [s for s in added if s["iccid"] == iccid and s["state"] == "done"]
        assert len(done) <= 1, iccid
    assert not [step for step in steps(world) if step["state"] in ("open", "unknown")]
    assert not [claim for claim in claims(world) if claim["state"] == "open"]
