"""Two more defects of the system that ran before, by their number in its list: they are not here."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.world import ICCIDS, World

A, B, C = ICCIDS[:3]
POND = {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]"}


def create(world: World, text: str, tmp_path: Path, *words: object) -> int:
    path = tmp_path / "devices.txt"
    path.write_text(text)
    asked = ("--operation", "activate", "--service-provider", 4, "--from", path)
    return world.run("bulk", "create", *asked, *words, **POND).exit_code


def test_40_no_device_gets_an_error_row_beside_a_normal_one(world: World, tmp_path: Path) -> None:
    """An active target without a rate plan wrote both."""
    assert create(world, f"{A}\n{B}\n", tmp_path) == 2
    assert world.everything()['"M2M_DeviceChange"'] == []

    text = f"{A}\n{B}\n{A}\nnonsense\n{B[:10]} {B[10:]}\n"
    assert create(world, text, tmp_path, "--package-type", 1001, "--skip-invalid") == 0

    rows = world.everything()['"M2M_DeviceChange"']
    assert Counter(row["ICCID"] for row in rows) == {A: 1, B: 1}
    assert {(row["Status"], row["HasErrors"], row["IsProcessed"]) for row in rows} == {("NEW", False, False)}


@pytest.mark.parametrize("step", ["cancel", "dry run", "retry of one device", "look at one device"])
def test_41_nothing_an_operator_needs_is_done_in_sql(world: World, step: str) -> None:
    """There was no cancel, no dry run, no retry for a row: SQL was the admin tool."""
    bulk = world.given(A, B, C)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(C, state="pending activation")

    match step:
        case "dry run":
            before = world.everything()
            shown = world.run("sync-bulk", bulk, "--dry-run", "-o", "json").json
            assert shown["counts"]["done"] == 1
            assert world.everything() == before
        case "cancel":
            assert world.run("bulk", "cancel", bulk, "--reason", "wrong list").exit_code == 0
            assert {row["StatusDetails"] for row in world.rows(bulk)} == {"cancelled: wrong list"}
            assert world.header(bulk)["Status"] == "ERROR"
        case "retry of one device":
            world.run("sync-bulk", bulk)
            world.thingspace.add(B, state="active", msisdn="12015550124")
            again = ("--iccid", B, "--category", "not_found", "--reason", "it was added")
            world.run("retry-failed", bulk, *again)
            assert world.rows(bulk)[1]["MSISDN"] == "12015550124"
        case _:
            shown = world.run("device", "show", A, "-o", "json").json
            assert shown["thingspace"]["state"] == "active"
            assert [row["bulk_change_id"] for row in shown["database"]["changes"]] == [str(bulk)]
