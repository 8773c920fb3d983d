"""`retry-failed` over POND bulk changes: the life cycle that each row asks for, once more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pondctl.sandbox import Fault, FaultKind
from tests.world import ICCIDS, Row, World

A, B, C = ICCIDS[:3]
PLAN = 1001


@pytest.fixture
def pond(world: World) -> World:
    """A world whose service provider 4 is POND's."""
    world.settings |= {
        "PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]",
        "PONDCTL_POND__SETTLE_SECONDS": "0.2",
    }
    return world


def asked(iccid: str, word: str = "Active", **more: Any) -> dict[str, Any]:
    """A row that asks for this."""
    request = {"UpdateStatus": word, "Request": {"PackageTypeId": PLAN}}
    return {"ICCID": iccid, "ChangeRequest": json.dumps(request)} | more


def failed(iccid: str, word: str = "Active", details: str = "network: connection reset") -> dict[str, Any]:
    """A row that ended with an error."""
    settled = {"Status": "API_FAILED", "StatusDetails": details, "IsProcessed": True, "HasErrors": True}
    return asked(iccid, word, **settled)


def active(world: World, iccid: str) -> list[int]:
    return [p.package_type_id for p in world.sandbox.pond.packages(iccid, "ACTIVE")]


def state(row: Row) -> tuple[Any, ...]:
    return row["Status"], row["IsProcessed"], row["HasErrors"]


def test_a_failed_activation_is_done_again_as_the_row_asks(pond: World) -> None:
    bulk = pond.given(failed(A), failed(B), provider=4)
    pond.sandbox.pond.add_sim(A)
    pond.sandbox.pond.add_sim(B, [(PLAN, "ACTIVE")])

    result = pond.run("retry-failed", bulk, "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert {d["iccid"]: d["outcome"] for d in result.json["devices"]} == {A: "done", B: "unchanged"}
    assert active(pond, A) == active(pond, B) == [PLAN]
    assert [state(row) for row in pond.rows(bulk)] == [("PROCESSED", True, False)] * 2
    assert pond.header(bulk)["Status"] == "PROCESSED"


def test_without_providers_of_its_own_pond_has_those_that_are_not_thingspaces(world: World) -> None:
    bulk = world.given(failed(A), provider=4)
    world.sandbox.pond.add_sim(A)

    result = world.run("retry-failed", bulk, PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS="[2]")

    assert result.exit_code == 0, result.stderr
    assert active(world, A) == [PLAN]


def test_rows_that_were_not_chosen_are_not_written_to_the_carrier(pond: World) -> None:
    bulk = pond.given(failed(A), asked(B), failed(C, details="guarded: locked"), provider=4)
    for iccid in (A, B, C):
        pond.sandbox.pond.add_sim(iccid)

    assert pond.run("retry-failed", bulk).exit_code == 0

    assert active(pond, A) == [PLAN]
    assert active(pond, B) == active(pond, C) == []
    assert [row["IsProcessed"] for row in pond.rows(bulk)] == [True, False, True]
    assert pond.header(bulk)["Status"] == "PROCESSING"


def test_an_unknown_write_is_read_back_and_no_second_package_is_added(pond: World) -> None:
    bulk = pond.given(asked(A), provider=4)
    pond.sandbox.pond.add_sim(A)
    pond.sandbox.fault(Fault("pond.add_package", FaultKind.CUT_AFTER, count=1))
    pond.sandbox.fault(Fault("pond.list_packages", FaultKind.STATUS, 503, after=1))
    first = pond.run("activate", "--bulk-change", bulk, "-o", "json", PONDCTL_LIMITS__OUTAGE_SECONDS="120")
    assert first.exit_code == 9, first.stderr
    assert state(pond.rows(bulk)[0])[1:] == (False, False)
    pond.sandbox.clear_faults()

    result = pond.run("retry-failed", bulk, "-o", "json")

    assert "1 unknown" in result.stderr
    assert result.exit_code == 0, result.stderr
    assert [d["outcome"] for d in result.json["devices"]] == ["done"]
    assert len(pond.sandbox.pond.packages(A)) == 1
    assert active(pond, A) == [PLAN]
    assert pond.run("retry-failed", "--category", "unknown", "-o", "json").json["devices"] == []


def test_a_dry_run_says_the_plan_and_writes_nothing(pond: World) -> None:
    bulk = pond.given(failed(A), provider=4)
    pond.sandbox.pond.add_sim(A)
    before = pond.everything()

    result = pond.run("retry-failed", bulk, "--dry-run", "-o", "json")

    assert result.exit_code == 0, result.stderr
    [device] = result.json["devices"]
    assert device["outcome"] == "done"
    assert str(PLAN) in device["detail"]
    assert pond.everything() == before
    assert pond.sandbox.pond.packages(A) == []


def test_writes_that_are_switched_off_start_nothing(pond: World) -> None:
    bulk = pond.given(failed(A), provider=4)
    pond.sandbox.pond.add_sim(A)
    before = pond.everything()

    assert pond.run("retry-failed", bulk, PONDCTL_POND__WRITE_ENABLED="false").exit_code == 4
    assert pond.everything() == before


def test_a_row_without_a_package_type_starts_nothing(pond: World) -> None:
    bulk = pond.given(failed(A) | {"ChangeRequest": '{"UpdateStatus": "Active"}'}, provider=4)
    before = pond.everything()

    result = pond.run("retry-failed", bulk)

    assert result.exit_code == 2
    assert "package type" in result.stderr
    assert pond.everything() == before


@pytest.mark.parametrize(("word", "shown"), [("Suspended", "suspend"), ("TERMINATED", "terminate")])
def test_the_operation_is_the_one_the_row_asks_for(pond: World, word: str, shown: str) -> None:
    bulk = pond.given(failed(A, word), provider=4)
    pond.sandbox.pond.add_sim(A, [(PLAN, "ACTIVE")])

    result = pond.run("retry-failed", bulk, "--reason", "asked by the customer", "--yes")

    assert result.exit_code == 0, result.stderr
    assert f"(pond {shown})" in result.stderr
    assert state(pond.rows(bulk)[0]) == ("PROCESSED", True, False)
    sim = pond.sandbox.pond.sim(A)
    assert (sim.packages[0].status == "TERMINATED") == (shown == "terminate")
    assert (sim.data == "DISABLED") == (shown == "suspend")


def test_a_termination_needs_a_reason_and_a_yes(pond: World) -> None:
    bulk = pond.given(failed(A, "Terminated"), provider=4)
    pond.sandbox.pond.add_sim(A, [(PLAN, "ACTIVE")])
    before = pond.everything()

    assert pond.run("retry-failed", bulk, "--yes").exit_code == 2
    asked_for = pond.run("retry-failed", bulk, "--reason", "lost", "-o", "json")
    assert asked_for.json["error"]["code"] == "confirmation_missing"
    assert pond.everything() == before
    assert active(pond, A) == [PLAN]


def test_more_terminations_than_allowed_start_nothing(pond: World) -> None:
    bulk = pond.given(failed(A, "Terminated"), failed(B, "Terminated"), provider=4)
    before = pond.everything()

    result = pond.run(
        "retry-failed", bulk, "--reason", "lost", "--yes", PONDCTL_LIMITS__MAX_TERMINATIONS_PER_RUN="1"
    )

    assert result.exit_code == 2
    assert "max_terminations_per_run" in result.stderr
    assert pond.everything() == before


def test_rows_of_another_operation_are_left_alone_and_said(pond: World) -> None:
    bulk = pond.given(failed(A), failed(B, "Suspended"), failed(C, "Sleeping"), provider=4)
    for iccid in (A, B, C):
        pond.sandbox.pond.add_sim(iccid)

    result = pond.run("retry-failed", bulk)

    assert result.exit_code == 0, result.stderr
    assert "2 devices whose row asks for another operation" in result.stderr
    assert [row["HasErrors"] for row in pond.rows(bulk)] == [False, True, True]


def test_both_carriers_in_one_command(pond: World) -> None:
    here = pond.given(failed(A), provider=4)
    there = pond.given(failed(B) | {"ChangeRequest": None})
    pond.sandbox.pond.add_sim(A)
    pond.thingspace.add(B, state="active", msisdn="12015550123")

    result = pond.run("retry-failed", "--category", "network", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert [part["id"] for part in result.json["bulk_changes"]] == [str(here), str(there)]
    assert active(pond, A) == [PLAN]
    assert pond.rows(there)[0]["MSISDN"] == "12015550123"


def test_enqueue_says_that_only_a_worker_with_writes_takes_it(pond: World) -> None:
    bulk = pond.given(failed(A), provider=4)

    result = pond.run("retry-failed", bulk, "--enqueue")
    allowed = pond.run("retry-failed", bulk, "--enqueue", PONDCTL_QUEUE__ACCEPT_WRITES="true")

    assert result.exit_code == 8
    assert "queue.accept_writes" in result.stderr
    assert "queue.accept_writes" not in allowed.stderr
    assert len(pond.messages(bulk)) == 1
    assert pond.calls("pond") == 0
