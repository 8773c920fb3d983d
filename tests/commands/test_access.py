"""`access.service_provider_ids`: what is another provider's is invisible, or refused by name."""

from __future__ import annotations

from pondctl.db.database import Database
from pondctl.services.dead_letters.list import count_letters
from pondctl.services.dead_letters.selection import Wanted
from tests.dead_letters import bury
from tests.pond_life import PROVIDER, WANTED, A, B, sims
from tests.world import ICCIDS, World

MINE, THEIRS = PROVIDER, 9
BOUND = {"PONDCTL_ACCESS__SERVICE_PROVIDER_IDS": f"[{MINE}]"}


def ids(world: World, *words: object) -> list[str]:
    return [str(row["id"]) for row in world.run(*words, "-o", "json", **BOUND).json]


def test_nothing_of_another_service_provider_is_shown_or_touched(world: World) -> None:
    mine, theirs = world.given(ICCIDS[5], provider=MINE), world.given(ICCIDS[6], provider=THEIRS)
    bury(world, key="a", bulk_change_id=theirs)
    bury(world, key="b", bulk_change_id=mine)
    sims(world, A, B)
    for iccid, provider in ((A, MINE), (B, THEIRS)):
        world.run("activate", iccid, "--package-type", WANTED, "--service-provider", provider)
    of_mine, of_theirs = (row["run_id"] for row in sorted(world.own("run"), key=lambda row: row["id"]))
    before, calls = world.everything(), world.calls()

    assert ids(world, "bulk", "list") == [str(mine)]
    assert ids(world, "dead-letter", "list") == ["2"]
    assert ids(world, "runs", "list") == [of_mine]
    status = world.run("status", "-o", "json", **BOUND).json
    assert (status["open_bulk_changes"], status["dead_letters"]) == (1, 1)
    assert status["dead_letters_oldest_seconds"] >= 0
    counted = Database.open(world.url, service_provider_ids=[MINE])
    assert count_letters(counted, Wanted()) == 1
    counted.close()
    listed = world.run("audit", "list", "--limit", 1000, "-o", "json", **BOUND)
    assert {row["run_id"] for row in listed.json} == {None, of_mine}
    assert " of " not in listed.stderr
    refused = (("bulk", "show", theirs), ("watch", theirs), ("sync-bulk", theirs), ("retry-failed", theirs),
               ("activate", "--bulk-change", theirs, "--package-type", WANTED),
               ("reconcile", "--local", "--bulk-change", theirs),
               ("bulk", "cancel", theirs, "--reason", "x"))  # fmt: skip
    unknown = (("dead-letter", "show", 1), ("runs", "show", of_theirs), ("runs", "cancel", of_theirs),
               ("runs", "resume", of_theirs), ("device", "show", B), ("device", "show", ICCIDS[6]),
               ("device", "lock", B, "--reason", "x"), ("device", "unlock", B, "--reason", "x"),
               ("device", "forget", B, "--reason", "x", "--yes"))  # fmt: skip
    assert [world.run(*words, **BOUND).exit_code for words in refused] == [4] * len(refused)
    assert [world.run(*words, **BOUND).exit_code for words in unknown] == [2] * len(unknown)
    assert world.calls() == calls
    after = world.everything()
    assert {name: rows for name, rows in after.items() if not name.endswith("audit")} == {
        name: rows for name, rows in before.items() if not name.endswith("audit")
    }


def test_a_bound_profile_works_on_what_is_its_own(world: World) -> None:
    mine = world.given(ICCIDS[5], provider=MINE)
    sims(world, A)

    assert world.run("bulk", "show", mine, **BOUND).exit_code == 0
    assert world.run("activate", A, "--package-type", WANTED, **BOUND).exit_code == 0
    assert world.run("device", "show", A, **BOUND).exit_code == 0
    assert len(ids(world, "runs", "list")) == 1


def test_a_device_of_another_provider_is_not_activated(world: World) -> None:
    sims(world, B)
    world.run("activate", B, "--package-type", WANTED, "--service-provider", THEIRS)
    sent = world.calls("package_")

    result = world.run("suspend", B, **BOUND)

    assert result.exit_code == 3
    assert "access.service_provider_ids" in result.stdout
    assert world.calls("package_") == sent
