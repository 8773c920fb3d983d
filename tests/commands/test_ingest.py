"""`ingest` from a file of notifications to the rows, with a simulated ThingSpace at the HTTP edge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pondctl.db.database import Database
from pondctl.db.records import NewMessage, NewRun
from pondctl.models import EMBEDDED_QUEUE
from tests.world import ICCIDS, Result, World

A, B, C = ICCIDS[:3]
SECRET = "hunter2secret"
CLAIMED = "12015559999"
FAULT = "UnifiedWebService.REQUEST_FAILED.DeviceAlreadyActive"


def notice(*iccids: str, **more: Any) -> dict[str, Any]:
    """A CarrierService document that says the activation of these devices is done."""
    return {
        "username": "someone",
        "password": SECRET,
        "requestId": "11111111-2222-4333-8444-555555555555",
        "deviceIds": [{"id": iccid, "kind": "Iccid"} for iccid in iccids],
        "deviceResponse": {"activateResponse": {"deviceIds": [{"id": CLAIMED, "kind": "msisdn"}]}},
        "status": "Success",
        "callbackCount": 1,
        "maxCallbackThreshold": 4,
    } | more


def refused(*iccids: str, code: str = FAULT) -> dict[str, Any]:
    """One that says it was refused."""
    document = notice(*iccids, status="Failed", faultResponse={"faultcode": code, "faultstring": SECRET})
    del document["deviceResponse"]
    return document


def ingest(world: World, document: Any, *words: str) -> Result:
    text = document if isinstance(document, str) else json.dumps(document)
    return world.run("ingest", "-", "-o", "json", *words, stdin=text)


def outcomes(result: Result) -> dict[str, tuple[str, str | None]]:
    return {device["iccid"]: (device["outcome"], device["category"]) for device in result.json["devices"]}


def test_a_device_that_is_active_by_now_gets_its_number(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    result = ingest(world, notice(A))

    assert result.exit_code == 0, result.stderr
    assert (result.json["command"], result.json["bulk_change_id"]) == ("ingest", bulk)
    assert outcomes(result) == {A: ("done", None)}
    [row] = world.rows(bulk)
    assert (row["MSISDN"], row["Status"], row["IsProcessed"]) == ("12015550123", "PROCESSED", True)
    assert world.header(bulk)["Status"] == "PROCESSED"


def test_35_the_number_is_never_taken_from_the_notification(world: World) -> None:
    inside = notice(A)
    without = {key: value for key, value in notice(B).items() if key != "deviceResponse"}
    elsewhere = notice(C, deviceIds=[{"id": C, "kind": "iccid"}, {"id": CLAIMED, "kind": "mdn"}])
    bulk = world.given(A, B, C)
    for number, iccid in enumerate((A, B, C)):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555000{number}")

    result = ingest(world, [inside, without, elsewhere])

    assert result.exit_code == 0, result.stderr
    assert [row["MSISDN"] for row in world.rows(bulk)] == ["12015550000", "12015550001", "12015550002"]


def test_a_number_that_the_carrier_does_not_give_is_not_claimed(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn=None)

    assert ingest(world, notice(A)).exit_code == 8
    assert world.rows(bulk)[0]["MSISDN"] is None


def test_36_every_open_row_that_names_the_device_is_looked_at_and_no_other(world: World) -> None:
    one, two = world.given(A, B), world.given(f" {A[:4]}-{A[4:]}F ", A)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="active", msisdn="12015550124")

    result = ingest(world, notice(A))

    assert result.exit_code == 0, result.stderr
    assert [row["MSISDN"] for row in world.rows(one)] == ["12015550123", None]
    assert [row["MSISDN"] for row in world.rows(two)] == ["12015550123"] * 2
    assert (world.header(one)["Status"], world.header(two)["Status"]) == ("PROCESSING", "PROCESSED")
    assert [part["id"] for part in result.json["bulk_changes"]] == [str(one), str(two)]
    assert world.calls("thingspace.lookup") == 2


def test_four_deliveries_of_one_are_harmless(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    ingest(world, notice(A))
    rows, header, log, calls = world.rows(bulk), world.header(bulk), world.log(bulk), world.calls()

    for number in (2, 3, 4):
        result = ingest(world, notice(A, callbackCount=number))

        assert (result.exit_code, outcomes(result)) == (0, {A: ("unchanged", None)})
    assert (world.rows(bulk), world.header(bulk), world.log(bulk)) == (rows, header, log)
    assert world.calls() == calls


def test_four_deliveries_about_a_device_that_waits_are_harmless_too(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="deactive")

    for _ in range(4):
        assert ingest(world, refused(A)).exit_code == 8

    assert len(world.log(bulk)) == len(world.messages(bulk)) == 1


def test_one_file_with_the_same_document_four_times_is_one_look(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    result = ingest(world, "\n".join([json.dumps(notice(A))] * 4))

    assert outcomes(result) == {A: ("done", None)}
    assert len(world.log(bulk)) == 1
    assert world.calls("thingspace.lookup") == 1


def test_a_fault_that_the_carrier_contradicts_does_not_count(world: World) -> None:
    bulk = world.given(A, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")

    result = ingest(world, refused(A, B))

    assert outcomes(result) == {A: ("done", None), B: ("pending", None)}
    assert [row["StatusDetails"] for row in world.rows(bulk)] == [None, "pending activation"]


def test_2_a_fault_that_the_carrier_does_not_contradict_is_kept_and_the_deadline_ends_it(
    world: World,
) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="deactive")

    result = ingest(world, refused(A))

    assert (result.exit_code, outcomes(result)) == (8, {A: ("pending", None)})
    [row] = world.rows(bulk)
    assert (row["IsProcessed"], row["HasErrors"]) == (False, False)
    assert row["StatusDetails"] == f"deactive; a notification claims the fault {FAULT}"
    assert world.run("sync-bulk", bulk).exit_code == 8
    assert world.rows(bulk)[0]["StatusDetails"] == row["StatusDetails"]
    assert len(world.log(bulk)) == 1
    world.thingspace.add(A, state="active", msisdn="12015550123")
    assert world.run("sync-bulk", bulk).exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"] == "12015550123"


@pytest.mark.parametrize("code", ["<b>bold</b>", "\u001b[31mred", "x" * 101, "no code at all", ""])
def test_what_is_no_code_is_not_kept_as_one(world: World, code: str) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="deactive")

    assert ingest(world, refused(A, code=code)).exit_code == 8
    assert world.rows(bulk)[0]["StatusDetails"] == "deactive"


def test_login_and_free_text_of_a_notification_are_never_kept_or_shown(world: World) -> None:
    world.given(A)
    world.thingspace.add(A, state="deactive")

    results = [ingest(world, refused(A)), ingest(world, f'{{"password": "{SECRET}", "deviceIds": [7]}}')]
    results.append(world.run("ingest", "-", "-v", stdin=json.dumps(refused(A))))

    assert [result.exit_code for result in results] == [8, 2, 8]
    for result in results:
        assert SECRET not in result.stdout + result.stderr
        assert "someone" not in result.stdout + result.stderr
    assert SECRET not in json.dumps(world.everything(), default=str)


def test_what_no_bulk_change_names_is_skipped_and_never_asked_about(world: World) -> None:
    world.given(B)

    result = ingest(world, notice(A))

    assert result.exit_code == 3
    assert outcomes(result) == {A: ("skipped", "not_found")}
    assert world.calls() == 0


def test_bulk_changes_of_pond_are_left_alone(world: World) -> None:
    bulk = world.given(A, provider=4)
    world.settings["PONDCTL_POND__SERVICE_PROVIDER_IDS"] = "[4]"
    before = world.rows(bulk)

    result = ingest(world, notice(A))

    assert outcomes(result) == {A: ("skipped", "wrong_carrier")}
    assert world.rows(bulk) == before
    assert world.calls() == 0


def test_a_settled_row_and_a_deleted_one_are_left_alone(world: World) -> None:
    failed = {"IsProcessed": True, "HasErrors": True, "Status": "API_FAILED"}
    ended = {"IsProcessed": True, "HasErrors": False, "Status": "PROCESSED"}
    bulk = world.given({"ICCID": A, **failed}, {"ICCID": B, "IsDeleted": True})
    old = world.given({"ICCID": A, **ended}, Status="PROCESSED")
    world.given(C, IsDeleted=True)
    before = world.rows(bulk), world.rows(old)

    result = ingest(world, notice(A, B, C))

    assert outcomes(result) == {
        A: ("unchanged", None),
        B: ("skipped", "not_found"),
        C: ("skipped", "not_found"),
    }
    assert (world.rows(bulk), world.rows(old)) == before


def test_a_device_the_carrier_does_not_know_fails_as_in_any_check(world: World) -> None:
    bulk = world.given(A)

    result = ingest(world, notice(A))

    assert (result.exit_code, outcomes(result)) == (3, {A: ("failed", "not_found")})
    assert world.rows(bulk)[0]["StatusDetails"].startswith("not_found: ")


def test_another_target_is_reached_by_a_notification_too(world: World) -> None:
    bulk = world.given({"ICCID": A, "ChangeRequest": '{"UpdateStatus": "suspend"}'})
    world.thingspace.add(A, state="suspend", msisdn=None)

    assert ingest(world, notice(A, deviceResponse={"suspendResponse": None})).exit_code == 0
    assert world.rows(bulk)[0]["IsProcessed"]


@pytest.mark.parametrize(
    "layout", ["one", "pretty", "array", "pretty array", "lines", "lines with gaps", "bom"]
)
def test_a_file_holds_one_document_an_array_or_one_a_line(world: World, layout: str, tmp_path: Path) -> None:
    documents = [notice(A), notice(B)]
    lines = [json.dumps(document) for document in documents]
    text = {
        "one": json.dumps(notice(A, B)),
        "pretty": json.dumps(notice(A, B), indent=2),
        "array": json.dumps(documents),
        "pretty array": json.dumps(documents, indent=2),
        "lines": "\n".join(lines) + "\n",
        "lines with gaps": "\r\n\r\n" + "\r\n\r\n".join(lines),
        "bom": "\ufeff" + "\n".join(lines),
    }[layout]
    file = tmp_path / "notices"
    file.write_text(text, encoding="utf-8", newline="")
    bulk = world.given(A, B)
    for number, iccid in enumerate((A, B)):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555000{number}")

    result = world.run("ingest", file)

    assert result.exit_code == 0, result.stderr
    assert all(row["MSISDN"] for row in world.rows(bulk))


GOOD = json.dumps(notice(A))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no notification"),
        ("  \n \n", "no notification"),
        ("[]", "no notification"),
        ("Not used", "line 1"),
        (f"{GOOD}\nnonsense\n", "line 2"),
        (f"{GOOD}\n\n{GOOD[:-9]}\n", "line 3"),
        (f"{GOOD}\n{{}}", "line 2"),
        (f"[{GOOD}, 5]", "document 2"),
        (f'[{GOOD}, {{"deviceIds": 5}}]', "body.deviceIds"),
        ('{"deviceIds": [{"id": "12015550123", "kind": "mdn"}]}', "without an ICCID"),
        (json.dumps(notice(A, requestId=5)), "body.requestId"),
        (json.dumps(notice(A), indent=1)[:-20], "line"),
        ("[" * 100_000, "no JSON"),
        ('{"deviceResponse":' * 20_000, "no JSON"),
        (f"{GOOD}\n" + json.dumps(notice(A, filler="x" * 300_000)), "line 2"),
        (json.dumps(notice(A, filler="x" * 300_000)), "longer than"),
        ("\x00\x01", "line 1"),
    ],
)
def test_what_cannot_be_read_is_usage_with_its_place_and_nothing_is_done(
    world: World, text: str, named: str
) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    before = world.everything()

    result = ingest(world, text)

    assert result.exit_code == 2, result.stderr
    assert named in result.json["error"]["message"]
    assert SECRET not in result.stdout + result.stderr
    assert world.everything() == before
    assert world.rows(bulk)[0]["MSISDN"] is None
    assert world.calls() == 0


def test_a_file_that_is_not_there_and_one_that_is_no_text(world: World, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(GOOD.encode() + b"\n\xff\xfe\x00")

    assert world.run("ingest", tmp_path / "nowhere").exit_code == 2
    result = world.run("ingest", binary)
    assert result.exit_code == 2
    assert "line 2" in result.stderr


def test_a_dry_run_looks_and_writes_nothing(world: World) -> None:
    world.given(A, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="deactive")
    before = world.everything()

    result = ingest(world, refused(A, B), "--dry-run")

    assert result.exit_code == 0, result.stderr
    assert outcomes(result) == {A: ("done", None), B: ("pending", None)}
    assert world.everything() == before


def test_ids_that_are_no_iccid_are_said(world: World) -> None:
    world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    result = ingest(world, notice(A, "12345"))

    assert result.exit_code == 0
    assert "1 device id of kind ICCID cannot be one" in json.dumps(result.json["hints"])


def test_a_viewer_may_only_look(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.settings["PONDCTL_ACCESS__ROLE"] = "viewer"

    assert ingest(world, notice(A)).exit_code == 4
    assert ingest(world, notice(A), "--dry-run").exit_code == 0
    assert world.rows(bulk)[0]["MSISDN"] is None


def send(world: World, body: str, key: str) -> None:
    """Put a message without attributes into the embedded queue."""
    database = Database.open(world.url)
    message = NewMessage(key=key, queue=EMBEDDED_QUEUE, attributes={}, body=body)
    database.write(lambda unit: unit.messages.add(message))
    database.close()


def test_the_same_document_as_a_message_is_taken_in_the_same_way(world: World) -> None:
    one, two = world.given(A), world.given(A, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    for number in range(4):
        send(world, json.dumps(notice(A, callbackCount=number)), f"delivery-{number}")

    result = world.run("worker", "--once")

    assert result.exit_code == 0, result.stderr
    assert [row["MSISDN"] for row in (*world.rows(one), *world.rows(two))] == [
        "12015550123",
        "12015550123",
        None,
    ]
    logged = [entry["M2MDeviceChangeId"] for entry in (*world.log(one), *world.log(two))]
    assert all(logged.count(row["Id"]) == 1 for row in (*world.rows(one), *world.rows(two)[:1]))
    assert SECRET not in result.stdout + result.stderr


def test_a_message_about_a_device_of_nobody_is_worked_off_without_a_call(world: World) -> None:
    send(world, json.dumps(notice(C)), "stray")

    result = world.run("worker", "--once")

    assert result.exit_code == 0, result.stderr
    assert world.calls() == 0
    assert world.own("dead_letter") == []


def test_a_message_about_a_busy_bulk_change_is_not_kept_with_its_password(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="pending activation")
    world.thingspace.add(B, state="active", msisdn="12015550123")
    database = Database.open(world.url)
    held = new_run(f"bulk_change:{bulk}")
    database.write(lambda unit: unit.runs.claim(held, lambda pid, started: True))
    send(world, json.dumps(notice(A)), "while-busy")

    result = world.run("worker", "--once")

    database.close()
    assert result.exit_code == 0, result.stderr
    waiting = [m for m in world.own("message") if m["state"] == "waiting"]
    assert waiting == []
    assert world.calls("thingspace.lookup") == 0


def new_run(target: str) -> NewRun:
    """A run of another host that holds this."""
    return NewRun(
        run_id="elsewhere",
        command="sync-bulk",
        target=target,
        actor="somebody",
        host="other",
        host_key="other",
        pid=1,
        process_started=1.0,
        profile="default",
        reason=None,
        arguments={},
    )
