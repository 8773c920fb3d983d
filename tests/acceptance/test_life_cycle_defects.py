"""Defects of the system that ran before, about POND; each shows that they are not here."""

from __future__ import annotations

import json

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.pond_life import (
    OTHER,
    PROVIDER,
    SETTLE,
    WANTED,
    A,
    B,
    assert_in_order,
    devices,
    in_database,
    plans,
    sims,
    standing,
    steps,
    writes,
)
from tests.world import Result, World

REQUEST = json.dumps({"UpdateStatus": "Active", "Request": {"PackageTypeId": WANTED}})


def activate(world: World, *words: object, **settings: str) -> Result:
    return world.run("activate", *words, "-o", "json", **SETTLE | settings)


def bulk_of(world: World, *iccids: str) -> int:
    return world.given(*({"ICCID": iccid, "ChangeRequest": REQUEST} for iccid in iccids), provider=PROVIDER)


@pytest.mark.parametrize("setting", ["PONDCTL_POND__WRITE_ENABLED", "PONDCTL_POND__API_KEY"])
def test_3_writes_refused_as_a_whole_settle_no_row_and_close_no_header(world: World, setting: str) -> None:
    sims(world, A, B)
    bulk = bulk_of(world, A, B)

    value = "false" if setting.endswith("ENABLED") else "wrong-key-value"
    result = activate(world, "--bulk-change", bulk, **{setting: value})

    assert result.exit_code == 4
    assert [row["IsProcessed"] for row in world.rows(bulk)] == [False, False]
    assert world.header(bulk)["Status"] != "PROCESSED"


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.STATUS, FaultKind.HTML])
def test_17_an_add_is_never_repeated_while_the_first_may_have_worked(world: World, kind: FaultKind) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.add_package", kind, count=1))

    assert activate(world, A, "--package-type", WANTED).exit_code == 0
    assert len(world.sandbox.pond.packages(A)) == 1
    assert_in_order(world, A)


def test_17_a_refused_add_is_not_repeated(world: World) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.REFUSE, "no"))

    activate(world, A, "--package-type", WANTED)

    assert world.calls("pond.add_package") == 1


def test_19_a_failed_end_of_an_old_package_never_ends_the_new_one(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"), (1003, "ACTIVE")))
    world.sandbox.fault(Fault("pond.package_terminated", FaultKind.REFUSE, "no", after=1, count=1))

    result = activate(world, A, "--package-type", WANTED)

    assert result.exit_code == 3
    assert WANTED in standing(world, A)
    assert in_database(world, A) == standing(world, A)


def test_20_two_active_packages_are_failed_both_are_named_and_the_row_says_so(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    bulk = bulk_of(world, A)
    world.sandbox.fault(Fault("pond.package_terminated", FaultKind.REFUSE, "no"))

    result = activate(world, "--bulk-change", bulk)

    assert result.exit_code == 3
    for package in world.sandbox.pond.packages(A, "ACTIVE"):
        assert package.package_id in devices(result)[A]["detail"]
        assert package.package_id in world.rows(bulk)[0]["StatusDetails"]


def refuse_rows(world: World) -> None:
    """The host's table of packages takes no row any more."""
    if world.engine.dialect.name != "sqlite":
        pytest.skip("made with a trigger of SQLite")
    world.execute(
        'CREATE TRIGGER refuse BEFORE INSERT ON "PondDeviceCarrierRatePlan" '
        "BEGIN SELECT RAISE(ABORT, 'table is frozen'); END"
    )


@pytest.mark.parametrize("defect", [21, 33])
def test_21_33_what_the_database_refused_is_never_reported_as_done(world: World, defect: int) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("the trigger is SQLite's")
    sims(world, A)
    bulk = bulk_of(world, A)
    refuse_rows(world)

    result = activate(world, "--bulk-change", bulk)

    assert result.exit_code not in (0, 3, 8)
    assert result.json["devices"] == []
    assert not world.rows(bulk)[0]["IsProcessed"]
    world.execute("DROP TRIGGER refuse")
    assert activate(world, "--bulk-change", bulk).exit_code == 0
    assert world.calls("pond.add_package") == 1
    assert_in_order(world, A)


def test_22_a_lookup_that_fails_is_not_no_packages(world: World) -> None:
    sims(world, A, packages=((OTHER, "ACTIVE"),))
    world.sandbox.fault(Fault("pond.list_packages", FaultKind.STATUS, 503))

    result = activate(world, A, "--package-type", WANTED)

    assert devices(result)[A]["outcome"] == "deferred"
    assert writes(world) == 0


def test_22_a_listing_of_several_pages_is_read_to_its_end(world: World) -> None:
    over = tuple((OTHER, "TERMINATED") for _ in range(120))
    sims(world, A, packages=(*over, (WANTED, "ACTIVE")))

    result = activate(world, A, "--package-type", WANTED)

    assert result.json["counts"]["unchanged"] == 1
    assert writes(world) == 0


def test_23_the_first_package_of_a_sim_is_saved_too(world: World) -> None:
    sims(world, A)

    activate(world, A, "--package-type", WANTED)

    [row] = plans(world)
    assert (row["ICCID"], row["PackageTypeId"], row["Status"], row["IsActive"]) == (A, WANTED, "ACTIVE", 1)
    assert row["DataUsageRemainingInBytes"] == 1 << 30


def test_32_an_unreadable_answer_after_the_carrier_accepted_sends_nothing_twice(world: World) -> None:
    sims(world, A)
    world.sandbox.fault(Fault("pond.add_package", FaultKind.WRONG_TYPE, count=1))

    assert activate(world, A, "--package-type", WANTED).exit_code == 0
    assert world.calls("pond.add_package") == 1
    assert [step["state"] for step in steps(world)] == ["done", "done"]


@pytest.mark.parametrize("command", ["suspend", "activate"])
def test_34_accepted_is_not_done_where_the_answer_holds_an_error(world: World, command: str) -> None:
    sims(world, A)
    endpoint = "pond.set_sim_status" if command == "suspend" else "pond.package_active"
    world.sandbox.fault(Fault(endpoint, FaultKind.ERROR_IN_200))

    words = ("--package-type", WANTED) if command == "activate" else ()
    result = world.run(command, A, *words, "-o", "json", **SETTLE)

    assert devices(result)[A]["outcome"] in ("deferred", "unknown", "failed")
    assert standing(world, A) == []
    assert world.sandbox.pond.sim(A).data == "ENABLED"
