"""`bulk list|show` and `status`: small but true."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from tests.world import ICCIDS, World

A, B = ICCIDS[:2]


def test_bulk_show_tells_how_far_it_is_and_what_waits(world: World) -> None:
    bulk = world.given(A, B, "nonsense")
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")
    world.run("sync-bulk", bulk)

    shown = world.run("bulk", "show", bulk, "-o", "json").json

    assert shown["id"] == str(bulk)
    assert shown["status"] == "PROCESSING"
    assert (shown["devices"], shown["settled"], shown["with_errors"]) == (3, 2, 1)
    assert shown["next_check"] == 1
    assert 0 < shown["next_check_seconds"] <= 900
    assert shown["next"] is None


def test_bulk_show_says_what_to_run_where_nothing_waits(world: World) -> None:
    bulk = world.given(A)

    shown = world.run("bulk", "show", bulk, "-o", "json").json

    assert shown["next"] == f"pondctl sync-bulk {bulk}"


def test_bulk_show_of_none_is_not_found(world: World) -> None:
    result = world.run("bulk", "show", 4711, "-o", "json")

    assert result.exit_code == 2
    assert result.json["error"]["code"] == "not_found"


def test_bulk_list_is_an_array_newest_first_with_text_ids(world: World) -> None:
    first, second = world.given(A), world.given(B)

    listed = world.run("bulk", "list", "-o", "json").json

    assert [entry["id"] for entry in listed] == [str(second), str(first)]


@pytest.mark.skipif("PONDCTL_TEST_DATABASE_URL" in os.environ, reason="its column keeps no offset")
def test_a_time_that_the_host_keeps_with_an_offset_is_read_as_utc(world: World) -> None:
    bulk = world.given(A)
    world.execute('UPDATE "BulkChange" SET "CreatedDate" = :at', at="2026-01-02T05:04:05+02:00")

    assert world.run("bulk", "show", bulk, "-o", "json").json["created"].startswith("2026-01-02T03:04:05")


@pytest.mark.parametrize("at", ["27.11.2026 08:00", 1795827932, ""])
def test_what_a_host_wrote_for_a_time_and_is_none_is_shown_as_unknown(world: World, at: str | int) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite keeps such a thing")
    bulk = world.given({"ICCID": A, "ProcessedDate": at, "CreatedDate": at}, Status="PROCESSING")
    world.execute('UPDATE "BulkChange" SET "CreatedDate" = :at, "ProcessedDate" = :at', at=at)

    assert world.run("bulk", "show", bulk, "-o", "json").json["created"] is None
    for words in (
        ("bulk", "list"),
        ("watch", bulk, "--timeout", "1s"),
        ("report", "bulk", bulk),
        ("status",),
    ):
        assert world.run(*words).exit_code == 0, words
    assert world.run("device", "show", A).exit_code == 0
    assert world.run("sync-bulk", bulk).exit_code in (0, 3, 8)


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (
            ("not_found: x", "invalid_iccid: x"),
            " --category not_found --category invalid_iccid --reason TEXT",
        ),
        (("authentication: x",), " --category authentication"),
        (("not_found: x", "network: x"), ""),
        (("not_found: x", None), ""),
    ],
)
def test_the_retry_it_names_takes_the_failures_that_there_are(
    world: World, details: tuple[str | None, ...], words: str
) -> None:
    failed = {"IsProcessed": True, "HasErrors": True, "Status": "API_FAILED"}
    rows = [{"ICCID": A, **failed, "StatusDetails": each} for each in details]
    bulk = world.given(*rows, Status="PROCESSED")

    shown = world.run("bulk", "show", bulk, "-o", "json").json
    [listed] = world.run("bulk", "list", "-o", "json").json

    assert listed["next"] == shown["next"]
    assert set(shown["next"].split()) == set(f"pondctl retry-failed {bulk}{words}".split()), shown["next"]
    named = shown["next"].replace("TEXT", "mended").split()[1:]
    if words:
        assert world.run(*named, "--dry-run", "-o", "json").json["counts"], named


def test_bulk_list_says_what_it_left_out(world: World) -> None:
    for _ in range(3):
        world.given(A)

    result = world.run("bulk", "list", "--limit", 2)

    assert len(result.stdout.splitlines()) == 3
    assert "showing 2 of 3" in result.stderr


def test_bulk_list_takes_a_status(world: World) -> None:
    world.given(A, Status="ERROR")
    done = world.given(A, Status="PROCESSED")

    listed = world.run("bulk", "list", "--status", "PROCESSED", "-o", "json").json

    assert [entry["id"] for entry in listed] == [str(done)]


CARRIERS = {
    "PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS": "[2]",
    "PONDCTL_POND__SERVICE_PROVIDER_IDS": "[4]",
}


def ids(world: World, *words: object, **settings: str) -> list[int]:
    result = world.run("bulk", "list", *words, "-o", "json", **CARRIERS | settings)
    assert result.exit_code == 0, result.stderr
    return [int(entry["id"]) for entry in result.json]


def test_bulk_list_narrows_by_carrier_provider_state_and_time(world: World) -> None:
    old = world.given(A, CreatedDate="2026-01-01 00:00:00")
    pond = world.given(A, provider=4)
    foreign = world.given(A, provider=9)
    ended = world.given(A, Status="ERROR")

    assert ids(world) == [ended, foreign, pond, old]
    assert ids(world, "--open") == [foreign, pond, old]
    assert ids(world, "--carrier", "pond") == [pond]
    assert ids(world, "--carrier", "thingspace") == [ended, old]
    assert ids(world, "--provider", 9) == [foreign]
    assert ids(world, "--provider", 9, "--carrier", "pond") == []
    assert ids(world, "--since", "2026-11-01") == [ended, foreign, pond]
    assert ids(world, "--status", "ERROR", "--open") == []


def test_without_providers_of_its_own_everything_that_is_not_ponds_is_thingspaces(world: World) -> None:
    first, pond = world.given(A, provider=7), world.given(A, provider=4)
    none = {"PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS": "[]"}

    assert ids(world, "--carrier", "thingspace", **none) == [first]
    assert ids(world, "--carrier", "pond", **none) == [pond]


def test_bulk_list_counts_what_it_narrowed_to(world: World) -> None:
    for _ in range(3):
        world.given(A, provider=4)
    world.given(A)

    result = world.run("bulk", "list", "--limit", 2, "--carrier", "pond", **CARRIERS)

    assert "showing 2 of 3" in result.stderr


@pytest.mark.parametrize(
    "words", [("--since", "tomorrow"), ("--since", "2199-01-01"), ("--carrier", "tmobile"), ("--limit", "0")]
)
def test_bulk_list_of_what_cannot_be_meant_is_usage(world: World, words: tuple[str, ...]) -> None:
    assert world.run("bulk", "list", *words).exit_code == 2


def test_bulk_list_says_what_each_waits_for_and_what_to_run(world: World) -> None:
    untouched = world.given(A)
    pending = world.given(B)
    world.thingspace.add(B, state="pending activation")
    world.run("sync-bulk", pending)
    failed = world.given("nonsense")
    world.run("sync-bulk", failed)

    listed = {int(row["id"]): row for row in world.run("bulk", "list", "-o", "json").json}

    assert listed[untouched]["waits_for"] == "nothing: no check is queued"
    assert listed[untouched]["next"] == f"pondctl sync-bulk {untouched}"
    assert listed[pending]["waits_for"] == "check number 1, due in 15 min"
    assert listed[pending]["next"] is None
    assert listed[failed]["waits_for"] == "a person: 1 device failed"
    assert listed[failed]["next"] == f"pondctl retry-failed {failed} --category invalid_iccid --reason TEXT"
    assert listed[pending]["carrier"] == "thingspace"
    assert listed[pending]["age_seconds"] > 0


def test_bulk_show_counts_by_outcome_and_says_why(world: World) -> None:
    bulk = world.given(A, B, "nonsense", ICCIDS[2])
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")

    before = world.run("bulk", "show", bulk, "-o", "json").json
    world.run("sync-bulk", bulk)
    after = world.run("bulk", "show", bulk, "-o", "json").json

    assert before["counts"] == {"untouched": 4}
    assert after["counts"] == {"done": 1, "pending": 1, "skipped": 1, "failed": 1}
    assert after["categories"] == {"invalid_iccid": 1, "not_found": 1}
    assert (after["open"], after["dead_letters"], after["unknown_writes"]) == (1, 0, 0)


def test_bulk_show_tells_the_times_to_activation(world: World) -> None:
    bulk = world.given(*ICCIDS[:20])
    created = datetime.now(UTC) - timedelta(seconds=1000)
    world.execute('UPDATE "BulkChange" SET "CreatedDate" = :then', then=created.strftime("%Y-%m-%d %H:%M:%S"))
    for iccid in ICCIDS[:20]:
        world.thingspace.add(iccid, state="active", msisdn="12015550123")
    world.run("sync-bulk", bulk)
    seen = "UPDATE {} SET observed_at = :at WHERE iccid = :iccid"
    for number, iccid in enumerate(ICCIDS[:20], start=1):
        at = (created + timedelta(seconds=10 * number)).strftime("%Y-%m-%d %H:%M:%S.000000")
        world.execute(seen.format(world.own_name("observation")), at=at, iccid=iccid)

    shown = world.run("bulk", "show", bulk, "-o", "json").json

    assert shown["seen_active"] == 20
    assert (shown["activation_seconds_p50"], shown["activation_seconds_p95"]) == (
        pytest.approx(100, abs=1),
        pytest.approx(190, abs=1),
    )


def test_bulk_show_names_the_run_that_is_at_work(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")
    world.run("sync-bulk", bulk)
    world.execute(
        f"UPDATE {world.own_name('run')} SET state = 'running', claim = target, "
        "lease_until = '2199-01-01 00:00:00.000000'"
    )
    [run] = world.own("run")

    shown = world.run("bulk", "show", bulk, "-o", "json").json

    assert shown["run"] == run["run_id"]
    assert run["run_id"] in shown["waits_for"]
    assert "at work" in shown["waits_for"]
    assert shown["next"] is None


def test_bulk_show_of_an_overdue_check_asks_for_a_worker(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")
    world.run("sync-bulk", bulk)
    world.execute(f"UPDATE {world.own_name('message')} SET visible_at = '2026-01-01 00:00:00.000000'")

    shown = world.run("bulk", "show", bulk, "-o", "json").json

    assert "no worker takes it" in shown["waits_for"]
    assert shown["next"] == "pondctl worker --once"


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("Active", "activate --bulk-change {} --package-type ID"),
        ("Suspended", "suspend --bulk-change {}"),
        ("Terminated", "terminate --bulk-change {} --reason TEXT"),
        ("Vanish", None),
    ],
)
def test_bulk_show_names_the_command_of_a_pond_bulk_change(
    world: World, word: str, command: str | None
) -> None:
    bulk = world.given({"ICCID": A, "ChangeRequest": json.dumps({"UpdateStatus": word})}, provider=4)

    shown = world.run("bulk", "show", bulk, "-o", "json", **CARRIERS).json

    assert shown["carrier"] == "pond"
    assert shown["next"] == (command and f"pondctl {command.format(bulk)}")


def test_bulk_show_is_readable_as_a_table(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")
    world.run("sync-bulk", bulk)

    lines = world.run("bulk", "show", bulk).stdout.splitlines()

    assert lines[0].split() == ["id", str(bulk)]
    assert lines[lines.index("counts") + 1].split() == ["pending", "1"]


def test_status_counts_what_is_open_and_what_waits(world: World) -> None:
    bulk = world.given(A)
    world.given(B, Status="PROCESSED")
    world.thingspace.add(A, state="pending activation")
    world.run("sync-bulk", bulk)

    shown = json.loads(world.run("status", "-o", "json").stdout)

    assert shown["profile"] == "default"
    assert shown["open_bulk_changes"] == 1
    assert (shown["queue_waiting"], shown["queue_delayed"]) == (0, 1)
    assert shown["refused_logins"] == 0


def test_status_shows_refused_logins(world: World) -> None:
    bulk = world.given(A)
    world.run("sync-bulk", bulk, PONDCTL_THINGSPACE__PASSWORD="other")

    shown = world.run("status", "-o", "json", PONDCTL_THINGSPACE__PASSWORD="other").json

    assert shown["refused_logins"] == 1


def test_status_says_once_what_is_wrong_with_the_settings(world: World) -> None:
    result = world.run("status", PONDCTL_POND__BASE_URL="nonsense")

    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["error"]
