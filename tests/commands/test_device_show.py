"""`device show`: the database, both carriers now, and the past, on one screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pondctl.sandbox import Fault, FaultKind
from pondctl.telemetry.identifiers import bind_key, pseudonym
from tests.pond_life import OTHER, PROVIDER, SETTLE, WANTED, given_plan, sims
from tests.world import ICCIDS, Row, World

A, B = ICCIDS[:2]
NUMBER = "12015550123"
POND = {"PONDCTL_POND__SERVICE_PROVIDER_IDS": f"[{PROVIDER}]", **SETTLE}
NO_THINGSPACE = {"PONDCTL_THINGSPACE__CLIENT_ID": ""}
NO_POND = {"PONDCTL_POND__API_KEY": ""}


def show(world: World, device: str = A, *words: str, **settings: str) -> Row:
    result = world.run("device", "show", device, *words, "-o", "json", **POND | settings)
    assert result.exit_code == 0, result.stderr
    shown: Row = result.json
    return shown


def active(world: World) -> int:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn=NUMBER)
    sims(world, A, packages=((WANTED, "ACTIVE"),))
    assert world.run("sync-bulk", bulk).exit_code == 0
    return bulk


@pytest.fixture
def read_only_login(world: World) -> Iterator[None]:
    """From now on the database login may look, and not write."""
    if world.engine.dialect.name != "sqlite":
        pytest.skip("made with a switch of SQLite")

    def forbid(connection: object, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")  # type: ignore[attr-defined]

    sa.event.listen(sa.Engine, "connect", forbid)
    yield
    sa.event.remove(sa.Engine, "connect", forbid)


def test_all_three_places_are_shown(world: World) -> None:
    bulk = active(world)

    shown = show(world)

    assert (shown["id"], shown["iccid"], shown["msisdn"]) == (A, A, NUMBER)
    assert (shown["thingspace"]["status"], shown["thingspace"]["state"]) == ("known", "active")
    assert shown["thingspace"]["msisdn"] == NUMBER
    assert [(p["package_type_id"], p["status"]) for p in shown["pond"]["packages"]] == [
        (str(WANTED), "ACTIVE")
    ]
    assert shown["pond"]["data"] is True
    [row] = shown["database"]["changes"]
    assert (row["bulk_change_id"], row["msisdn"], row["settled"]) == (str(bulk), NUMBER, True)


@pytest.mark.parametrize(
    "typed", [NUMBER, f"+{NUMBER}", "(201) 555-0123", "201.555.0123", f"{A[:4]}-{A[4:]}F"]
)
def test_it_is_found_by_its_number_and_by_any_spelling(world: World, typed: str) -> None:
    active(world)

    assert show(world, typed)["iccid"] == A


def test_of_two_devices_that_had_a_number_the_newest_is_shown_and_the_other_named(world: World) -> None:
    world.given({"ICCID": B, "MSISDN": NUMBER, "IsProcessed": True})
    active(world)

    shown = show(world, NUMBER)

    assert (shown["iccid"], shown["other_devices"]) == (A, [B])


def test_its_past_is_one_list_newest_first(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")
    world.run("sync-bulk", bulk)
    world.thingspace.add(A, state="active", msisdn=NUMBER)
    world.run("sync-bulk", bulk)
    sims(world, A)
    pond = world.given(A, provider=PROVIDER)
    world.run("activate", "--bulk-change", pond, "--package-type", WANTED, **POND)
    world.run("device", "lock", A, "--reason", "lifts")

    events = show(world)["timeline"]

    times = [event["at"] for event in events]
    assert times == sorted(times, reverse=True)
    kinds = {event["kind"] for event in events}
    wanted = {
        "bulk_change",
        "row",
        "log",
        "step",
        "message",
        "run",
        "outcome",
        "observation",
        "lock",
        "package",
    }
    assert wanted <= kinds
    whats = [event["what"] for event in events]
    assert "thingspace: pending activation → active" in whats
    assert "activate: add_package: done" in whats
    assert "check number 1 is waiting" in whats
    assert {event["bulk_change_id"] for event in events} >= {str(bulk), str(pond)}


def test_the_time_to_activation_counts_from_the_asking(world: World) -> None:
    asked = datetime.now(UTC) - timedelta(hours=1)
    bulk = world.given({"ICCID": A, "CreatedDate": asked.strftime("%Y-%m-%d %H:%M:%S")})
    later = world.given({"ICCID": A, "CreatedDate": "2199-01-01 00:00:00"})
    world.thingspace.add(A, state="pending activation")
    world.run("sync-bulk", bulk)
    assert [row["seconds_to_active"] for row in show(world)["database"]["changes"]] == [None, None]
    world.thingspace.add(A, state="active", msisdn=NUMBER)
    world.run("sync-bulk", bulk)

    changes = {row["bulk_change_id"]: row["seconds_to_active"] for row in show(world)["database"]["changes"]}

    assert changes == {str(later): None, str(bulk): pytest.approx(3600, abs=60)}


def test_dead_letters_of_its_bulk_changes_are_in_the_past(world: World) -> None:
    bulk = active(world)
    columns = (
        "letter_key, source_queue, bulk_change_id, retry_number, receive_count, body, attributes, category"
    )
    world.execute(
        f"INSERT INTO {world.own_name('dead_letter')} ({columns}, reason, attempts, state, requeue_count, "
        "created_at, changed_at) VALUES ('k', 'q', :bulk, 0, 0, '', '{}', 'not_found', 'gone', '[]', 'open', "
        "0, '2026-11-23 08:00:00.000000', '2026-11-23 08:00:00.000000')",
        bulk=bulk,
    )

    events = show(world)["timeline"]

    assert "dead letter 1 (not_found) is open" in [event["what"] for event in events]


def test_its_pseudonym_is_the_one_in_the_logs(world: World) -> None:
    active(world)
    key = {"PONDCTL_TELEMETRY__PSEUDONYM_KEY": "a key of a test"}

    shown = show(world, **key)["pseudonym"]

    bind_key(b"a key of a test")
    assert shown == pseudonym(A)


def test_one_side_down_is_said_and_the_rest_is_shown(world: World) -> None:
    active(world)
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.STATUS, 503))

    shown = show(world, **{"PONDCTL_LIMITS__CALL_SECONDS": "1"})

    assert shown["thingspace"]["status"] == "unavailable"
    assert shown["thingspace"]["error"]
    assert shown["pond"]["status"] == "known"
    assert shown["msisdn"] == NUMBER


def test_the_other_side_down_is_said_too(world: World) -> None:
    active(world)
    world.sandbox.fault(Fault("pond.*", FaultKind.STATUS, 503))

    shown = show(world, **{"PONDCTL_LIMITS__CALL_SECONDS": "1"})

    assert (shown["pond"]["status"], shown["thingspace"]["status"]) == ("unavailable", "known")


def test_refused_credentials_are_said(world: World) -> None:
    active(world)

    shown = show(world, A, PONDCTL_POND__API_KEY="another", PONDCTL_THINGSPACE__PASSWORD="another")

    assert (shown["thingspace"]["status"], shown["pond"]["status"]) == ("refused", "refused")


@pytest.mark.parametrize(
    ("settings", "statuses"),
    [
        (NO_THINGSPACE, ("not_configured", "known")),
        (NO_POND, ("known", "not_configured")),
        (NO_THINGSPACE | NO_POND, ("not_configured", "not_configured")),
    ],
)
def test_a_side_that_is_not_configured_is_said(
    world: World, settings: dict[str, str], statuses: tuple[str, str]
) -> None:
    active(world)

    shown = show(world, **settings)

    assert (shown["thingspace"]["status"], shown["pond"]["status"]) == statuses
    assert shown["database"]["changes"]


def test_a_device_that_nobody_knows_is_shown_as_such(world: World) -> None:
    shown = show(world, B)

    assert (shown["thingspace"]["status"], shown["pond"]["status"]) == ("not_known", "not_known")
    assert shown["database"] == {"changes": [], "packages": []}
    assert shown["timeline"] == []


@pytest.mark.parametrize("typed", ["hello", "89123", "", "1" * 16, "12", "'; DROP TABLE x; --", "\x1b[2J"])
def test_what_is_no_device_is_usage(world: World, typed: str) -> None:
    result = world.run("device", "show", typed, "-o", "json")

    assert (result.exit_code, result.json["error"]["code"]) == (2, "usage")
    assert world.calls() == 0


def test_a_number_that_nobody_has_is_not_found(world: World) -> None:
    result = world.run("device", "show", NUMBER, "-o", "json")

    assert (result.exit_code, result.json["error"]["code"]) == (2, "not_found")


def test_a_moment_later_the_carriers_are_not_asked_again(world: World) -> None:
    active(world)
    show(world)
    asked = world.calls()

    shown = show(world)

    assert world.calls() == asked
    assert shown["thingspace"]["state"] == "active"
    assert shown["thingspace"]["age_seconds"] >= 0
    assert shown["pond"]["packages"]


def test_fresh_asks_again(world: World) -> None:
    active(world)
    show(world)
    world.thingspace.add(A, state="suspend", msisdn=NUMBER)

    assert show(world)["thingspace"]["state"] == "active"
    assert show(world, A, "--fresh")["thingspace"]["state"] == "suspend"
    assert show(world)["thingspace"]["state"] == "suspend"


def test_what_is_too_old_or_of_another_account_is_asked_again(world: World) -> None:
    active(world)
    show(world)
    asked = world.calls("pond")

    show(world, PONDCTL_POND__DISTRIBUTOR_ID="77")
    assert world.calls("pond") > asked
    show(world, A, "--fresh")
    meta = world.own_name("meta")
    [kept] = [row["value"] for row in world.own("meta") if row["name"] == f"device_now:{A}"]
    document = json.loads(kept)
    for side in document["sides"].values():
        side["at"] = "2026-01-01T00:00:00"
    world.execute(
        f"UPDATE {meta} SET value = :v WHERE name = :n", v=json.dumps(document), n=f"device_now:{A}"
    )
    asked = world.calls("thingspace.lookup")
    show(world)
    assert world.calls("thingspace.lookup") == asked + 1


def test_a_side_that_failed_is_not_kept(world: World) -> None:
    active(world)
    world.sandbox.fault(Fault("pond.*", FaultKind.STATUS, 503))
    show(world, **{"PONDCTL_LIMITS__CALL_SECONDS": "1"})
    world.sandbox.clear_faults()
    asked = world.calls("thingspace.lookup")

    assert show(world)["pond"]["status"] == "known"
    assert world.calls("thingspace.lookup") == asked


def test_what_it_sees_is_observed(world: World) -> None:
    active(world)
    show(world)
    show(world, A, "--fresh")

    seen = [(row["carrier"], row["state"]) for row in world.own("observation")]

    assert seen == [("thingspace", "active"), ("pond", "ACTIVE")]


@pytest.mark.usefixtures("read_only_login")
def test_a_login_that_may_only_read_keeps_its_token_to_itself(world: World) -> None:
    sims(world, A, packages=((WANTED, "ACTIVE"),))

    shown = show(world)

    assert shown["pond"]["status"] == "known"
    assert shown["thingspace"]["status"] == "not_known"
    assert world.own("token") == []
    assert show(world)["pond"]["age_seconds"] == 0


def test_with_a_stored_token_a_login_that_may_only_read_sees_both(
    world: World, request: pytest.FixtureRequest
) -> None:
    active(world)
    request.getfixturevalue("read_only_login")

    shown = show(world)

    assert (shown["thingspace"]["status"], shown["pond"]["status"]) == ("known", "known")


def test_where_the_places_disagree_is_said(world: World) -> None:
    world.given({"ICCID": A, "MSISDN": "12015550999", "IsProcessed": True, "Status": "PROCESSED"})
    world.thingspace.add(A, state="active", msisdn=NUMBER)
    sims(world, A, packages=((WANTED, "ACTIVE"), (OTHER, "ACTIVE")))
    first, second = world.sandbox.pond.packages(A)
    given_plan(world, A, first.package_id, WANTED, "NOT_ACTIVE")
    given_plan(world, A, "gone", WANTED)

    said = show(world)["differences"]

    assert f"MSISDN 12015550999 in bulk change 1, {NUMBER} at ThingSpace" in said
    assert f"package {first.package_id} is NOT_ACTIVE in the database, ACTIVE at POND" in said
    assert "package gone is ACTIVE in the database, and not at POND" in said
    assert f"package {second.package_id} is ACTIVE at POND, and not in the database" in said
    assert any(line.startswith("2 packages are ACTIVE at POND together") for line in said)


def test_a_row_of_pond_is_not_held_against_thingspace(world: World) -> None:
    world.given({"ICCID": A}, provider=PROVIDER)
    world.thingspace.add(A, state="active", msisdn=NUMBER)

    assert show(world)["differences"] == []


def test_the_table_has_its_sections_and_whole_ids(world: World) -> None:
    active(world)
    world.run("device", "lock", A, "--reason", "lifts")

    text = world.run("device", "show", A, **POND).stdout

    lines = text.splitlines()
    assert lines[0].split() == ["id", A]
    for heading in (
        "thingspace",
        "pond",
        "pond: packages",
        "database: changes",
        "database: lock",
        "timeline",
    ):
        assert heading in lines
    assert world.sandbox.pond.packages(A)[0].package_id in text
    assert "…" not in text


def test_limit_cuts_each_kind_of_event(world: World) -> None:
    for _ in range(3):
        world.given(A)

    shown = show(world, A, "--limit", "2")

    assert len(shown["database"]["changes"]) == 2
