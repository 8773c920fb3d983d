"""`bulk list|show` and `status`: small but true."""

from __future__ import annotations

import json

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
