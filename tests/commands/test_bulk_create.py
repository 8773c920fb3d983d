"""`bulk create`: everything is checked first, then all is written in one transaction, or nothing."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.pond_life import PROVIDER, SETTLE, WANTED, sims, standing
from tests.queue_world import QueueWorld, plain
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, Result, World

A, B, C = ICCIDS[:3]
POND = {"PONDCTL_POND__SERVICE_PROVIDER_IDS": f"[{PROVIDER}]"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "devices.txt"
    path.write_text(f"{A}\n{B}\n{C}\n")
    return path


def create(world: World, operation: str, file: object, *words: object, **settings: str) -> Result:
    provider = 2 if operation == "sync" else PROVIDER
    if operation == "activate" and "--package-type" not in words:
        words = (*words, "--package-type", WANTED)
    if operation == "terminate" and "--reason" not in words:
        words = (*words, "--reason", "contract over")
    asked = ("--operation", operation, "--service-provider", provider, "--from", file)
    return world.run("bulk", "create", *asked, *words, "-o", "json", **POND | settings)


def nothing_was_written(world: World) -> bool:
    tables = world.everything()
    host = ('"BulkChange"', '"M2M_DeviceChange"', '"DeviceBulkChangeLog"', world.own_name("message"))
    return not any(tables[name] for name in host)


def test_the_rows_are_those_of_the_file(world: World, file: Path) -> None:
    result = create(world, "activate", file)

    assert result.exit_code == 0, result.stderr
    made = result.json
    assert (made["operation"], made["carrier"], made["devices"], made["queued"]) == (
        "activate",
        "pond",
        3,
        False,
    )
    bulk = int(made["id"])
    header = world.header(bulk)
    assert (header["Status"], header["ServiceProviderId"], header["ChangeRequestType"]) == (
        "NEW",
        PROVIDER,
        "StatusUpdate",
    )
    rows = world.rows(bulk)
    assert [row["ICCID"] for row in rows] == [A, B, C]
    assert {(row["Status"], row["IsProcessed"], row["HasErrors"], row["MSISDN"]) for row in rows} == {
        ("NEW", False, False, None)
    }
    assert made["next"] == f"pondctl activate --bulk-change {bulk}"
    assert world.messages(bulk) == []


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        (
            "activate",
            {
                "IsIgnoreCurrentStatus": False,
                "UpdateStatus": "Active",
                "PostUpdateStatusId": 0,
                "Request": {"PackageTypeId": WANTED},
            },
        ),
        (
            "suspend",
            {
                "IsIgnoreCurrentStatus": False,
                "UpdateStatus": "Suspended",
                "PostUpdateStatusId": 0,
                "Request": {},
            },
        ),
        (
            "resume",
            {
                "IsIgnoreCurrentStatus": False,
                "UpdateStatus": "Active",
                "PostUpdateStatusId": 0,
                "Request": {},
            },
        ),
        (
            "terminate",
            {
                "IsIgnoreCurrentStatus": False,
                "UpdateStatus": "Terminated",
                "PostUpdateStatusId": 0,
                "Request": {},
            },
        ),
        (
            "sync",
            {
                "IsIgnoreCurrentStatus": True,
                "UpdateStatus": "active",
                "PostUpdateStatusId": 8,
                "Request": {},
            },
        ),
    ],
)
def test_the_change_request_is_the_one_of_the_host(
    world: World, file: Path, operation: str, request_: dict[str, Any]
) -> None:
    bulk = int(create(world, operation, file).json["id"])

    assert [json.loads(row["ChangeRequest"]) for row in world.rows(bulk)] == [request_] * 3


def test_what_is_made_can_be_run(world: World, file: Path) -> None:
    sims(world, A, B, C)
    made = create(world, "activate", file).json

    result = world.run(*made["next"].split()[1:], **POND, **SETTLE)

    assert result.exit_code == 0, result.stderr
    assert [standing(world, iccid) for iccid in (A, B, C)] == [[WANTED]] * 3
    assert world.header(int(made["id"]))["Status"] == "PROCESSED"


def test_enqueue_puts_one_message_in(world: World, file: Path) -> None:
    made = create(world, "sync", file, "--enqueue").json

    [message] = world.messages(int(made["id"]))
    assert message["attributes"] == {
        "BulkChangeId": made["id"],
        "RetryNumber": "0",
        "IsRetryNewActivateThingSpaceDevice": "True",
    }
    assert (made["queued"], made["next"]) == (True, None)


def test_a_worker_brings_it_to_its_end(world: World, file: Path) -> None:
    for number, iccid in enumerate((A, B, C)):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    made = create(world, "sync", file, "--enqueue").json

    assert world.run("worker", "--once", **POND).exit_code == 0

    assert world.header(int(made["id"]))["Status"] == "PROCESSED"


def test_every_bad_line_is_named_and_nothing_is_written(world: World, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    lines = [A, "8914", B, "x", "", "1" * 20, *["nonsense"] * 40]
    path.write_text("\n".join(lines))

    result = create(world, "activate", path)

    assert result.exit_code == 2
    message = result.json["error"]["message"]
    assert all(f"line {number} " in message for number in (2, 4, 6, 7))
    assert "lines 24 to 46" in message
    assert nothing_was_written(world)


def test_invalid_lines_can_be_left_out(world: World, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(f"{A}\n8914\n")

    result = create(world, "activate", path, "--skip-invalid")

    assert result.json["devices"] == 1
    assert "line 2 '8914' is left out" in result.stderr


def test_a_device_named_twice_is_kept_once_and_noted(world: World, tmp_path: Path) -> None:
    path = tmp_path / "twice.txt"
    path.write_text(f"{A}\n{A[:4]} {A[4:]}F\n{B}\n")

    result = create(world, "activate", path)

    assert [row["ICCID"] for row in world.rows(int(result.json["id"]))] == [A, B]
    assert "taken once" in result.stderr


def test_the_file_may_be_a_table_or_standard_input(world: World, tmp_path: Path) -> None:
    path = tmp_path / "devices.csv"
    path.write_text(f"Name,ICCID\nlift,{A}\n")

    assert create(world, "activate", path).json["devices"] == 1
    piped = world.run(
        *("bulk", "create", "--operation", "sync", "--service-provider", 2, "--from", "-", "-o", "json"),
        stdin=f"{A}\n{B}\n",
    )
    assert piped.json["devices"] == 2


@pytest.mark.parametrize(
    ("operation", "words", "complaint"),
    [
        ("terminate", ("--reason", "  "), "reason"),
        ("suspend", ("--package-type", "1001"), "--package-type"),
        ("activate", ("--package-type", "0"), "--package-type"),
        ("fly", (), "fly"),
    ],
)
def test_what_cannot_be_meant_is_usage(
    world: World, file: Path, operation: str, words: tuple[str, ...], complaint: str
) -> None:
    result = create(world, operation, file, *words)

    assert result.exit_code == 2
    assert complaint in result.json["error"]["message"]
    assert nothing_was_written(world)


def test_activate_needs_a_package_type(world: World, file: Path) -> None:
    asked = ("--operation", "activate", "--service-provider", PROVIDER, "--from", file)

    result = world.run("bulk", "create", *asked, **POND)

    assert result.exit_code == 2
    assert "--package-type" in result.stderr


def test_devices_have_to_be_given(world: World) -> None:
    result = world.run("bulk", "create", "--operation", "sync", "--service-provider", 2)

    assert result.exit_code == 2
    assert "--from" in result.stderr


@pytest.mark.parametrize(
    ("operation", "settings"),
    [
        ("activate", {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[5]"}),
        ("activate", {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[]"}),
        ("sync", {"PONDCTL_THINGSPACE__SERVICE_PROVIDER_IDS": "[3]"}),
        ("sync", {"PONDCTL_POND__SERVICE_PROVIDER_IDS": "[2]"}),
    ],
)
def test_a_provider_of_no_or_of_the_other_carrier_is_refused(
    world: World, file: Path, operation: str, settings: dict[str, str]
) -> None:
    result = create(world, operation, file, **settings)

    assert (result.exit_code, result.json["error"]["code"]) == (2, "wrong_carrier")
    assert nothing_was_written(world)


def test_a_provider_that_is_not_allowed_is_refused(world: World, file: Path) -> None:
    result = create(world, "activate", file, PONDCTL_ACCESS__SERVICE_PROVIDER_IDS="[2]")

    assert result.exit_code == 4
    assert nothing_was_written(world)


def test_a_viewer_may_not(world: World, file: Path) -> None:
    assert create(world, "sync", file, PONDCTL_ACCESS__ROLE="viewer").exit_code == 4
    assert create(world, "sync", file, "--dry-run", PONDCTL_ACCESS__ROLE="viewer").exit_code == 0
    assert nothing_was_written(world)


def test_a_dry_run_checks_all_and_writes_nothing(world: World, file: Path) -> None:
    before = world.everything()

    result = create(world, "terminate", file, "--dry-run")

    assert (result.exit_code, result.json["id"], result.json["devices"]) == (0, None, 3)
    assert world.everything() == before


def test_who_made_it_and_why_is_on_record(world: World, file: Path) -> None:
    made = create(world, "terminate", file).json

    [run] = [run for run in world.own("run") if run["run_id"] == made["run_id"]]
    assert (run["command"], run["state"], run["reason"]) == ("bulk create", "done", "contract over")
    assert made["run_id"] in world.header(int(made["id"]))["CreatedBy"]
    [entry] = world.log(int(made["id"]))
    assert (entry["LogEntryDescription"], entry["ResponseText"]) == (
        "pondctl bulk create: terminate of 3 devices",
        "contract over",
    )


def test_many_terminations_are_asked_about(world: World, tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("\n".join(ICCIDS[:11]))

    assert create(world, "terminate", path).exit_code == 2
    assert nothing_was_written(world)
    assert create(world, "terminate", path, "--yes").exit_code == 0


def test_a_protected_profile_is_named(world: World, tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("\n".join(ICCIDS[:11]))
    protected = {"PONDCTL_PROTECTED": "true"}

    refused = create(world, "terminate", path, "--yes", **protected)

    assert refused.exit_code == 2
    assert "--confirm default" in refused.json["error"]["hint"]
    assert create(world, "terminate", path, "--yes", "--confirm", "other", **protected).exit_code == 2
    assert create(world, "terminate", path, "--yes", "--confirm", "default", **protected).exit_code == 0


def test_more_terminations_than_a_run_may_do_are_refused(world: World, file: Path) -> None:
    result = create(world, "terminate", file, PONDCTL_LIMITS__MAX_TERMINATIONS_PER_RUN="2")

    assert result.exit_code == 2
    assert nothing_was_written(world)


def test_a_worker_may_terminate_what_was_made_for_it(world: World, file: Path) -> None:
    sims(world, A, B, C, packages=((WANTED, "ACTIVE"),))
    made = create(world, "terminate", file, "--enqueue").json

    result = world.run("worker", "--once", PONDCTL_QUEUE__ACCEPT_WRITES="true", **POND, **SETTLE)

    assert result.exit_code == 0, result.stderr
    assert [standing(world, iccid) for iccid in (A, B, C)] == [[]] * 3
    assert world.header(int(made["id"]))["Status"] == "PROCESSED"


def test_a_header_that_only_pretends_to_be_made_for_it_terminates_nothing(world: World, file: Path) -> None:
    sims(world, A, B, C, packages=((WANTED, "ACTIVE"),))
    made = create(world, "suspend", file, "--enqueue", "--reason", "contract over").json
    word = json.dumps({"UpdateStatus": "Terminated", "Request": {}})
    world.execute('UPDATE "M2M_DeviceChange" SET "ChangeRequest" = :word', word=word)

    world.run("worker", "--once", PONDCTL_QUEUE__ACCEPT_WRITES="true", **POND, **SETTLE)

    assert [standing(world, iccid) for iccid in (A, B, C)] == [[WANTED]] * 3
    assert not any(row["IsProcessed"] for row in world.rows(int(made["id"])))


def test_a_failure_in_the_middle_leaves_nothing(world: World, tmp_path: Path) -> None:
    """The change log is written last; where it is missing, neither header nor rows nor message stay."""
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"8914800000{number:09d}8" for number in range(2500)))
    broken = {"PONDCTL_DATABASE__NAMES": json.dumps({"DeviceBulkChangeLog": "NotThere"})}

    result = create(world, "sync", path, "--enqueue", **broken)

    assert (result.exit_code, result.json["error"]["code"]) == (2, "schema")
    assert nothing_was_written(world)


def test_rows_that_cannot_say_what_they_ask_are_not_made(world: World, file: Path) -> None:
    absent = {"PONDCTL_DATABASE__NAMES": json.dumps({"M2M_DeviceChange.ChangeRequest": ""})}

    result = create(world, "terminate", file, **absent)

    assert (result.exit_code, result.json["error"]["code"]) == (2, "schema")
    assert nothing_was_written(world)


def test_rows_are_written_in_batches(world: World, tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"8914800000{number:09d}8" for number in range(2500)))
    sizes: list[int] = []

    def count(_c: object, _cur: object, statement: str, rows: object, _ctx: object, many: bool) -> None:
        # The quotes around a name differ.
        ours = re.match(r"INSERT INTO \WM2M_DeviceChange\W", statement)
        if ours and many and isinstance(rows, list):
            sizes.append(len(rows))

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        assert create(world, "sync", path).json["devices"] == 2500
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)

    assert sizes == [1000, 1000, 500]


@contextmanager
def one_lost_commit(after: str) -> Iterator[list[str]]:
    """The first commit after this statement is done, and its answer is lost."""
    lost: list[str] = []
    armed = False

    def arm(_c: object, _cur: object, statement: str, *_rest: object) -> None:
        nonlocal armed
        armed = armed or after in statement

    def lose(connection: sa.Connection) -> None:
        if armed and not lost:
            lost.append(after)
            connection.connection.dbapi_connection.commit()  # type: ignore[union-attr]
            trouble = sqlite3.OperationalError("disk I/O error")
            trouble.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise sa.exc.OperationalError("COMMIT", {}, trouble)

    sa.event.listen(sa.Engine, "before_cursor_execute", arm)
    sa.event.listen(sa.Engine, "commit", lose)
    try:
        yield lost
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", arm)
        sa.event.remove(sa.Engine, "commit", lose)


@pytest.mark.parametrize("separate", [False, True], ids=["one database", "a database of its own"])
@pytest.mark.parametrize("after", ['INSERT INTO "BulkChange"', "INSERT INTO pondctl_message"])
def test_a_commit_whose_answer_is_lost_makes_no_second_bulk_change(
    world: World, file: Path, tmp_path: Path, separate: bool, after: str
) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("made with an error of SQLite")
    settings = {}
    if separate:
        settings["PONDCTL_DATABASE__STATE_URL"] = f"sqlite:///{tmp_path / 'state.db'}"
        assert world.run("db", "upgrade", **settings).exit_code == 0

    with one_lost_commit(after) as lost:
        result = create(world, "sync", file, "--enqueue", **settings)

    assert result.exit_code == 0, result.stderr
    assert lost
    assert [row["Id"] for row in world.everything()['"BulkChange"']] == [int(result.json["id"])]
    assert len(world.rows(int(result.json["id"]))) == 3
    shown = world.run("bulk", "show", result.json["id"], "-o", "json", **settings).json
    assert (shown["next_check"], shown["devices"]) == (0, 3)


def test_on_sqs_the_message_is_sent_at_once(world: World, sqs: SqsServer, file: Path) -> None:
    queue = QueueWorld(world, sqs)

    made = create(world, "sync", file, "--enqueue", **queue.settings).json

    [message] = queue.messages
    assert plain(message)["BulkChangeId"] == made["id"]
    assert plain(message)["IsRetryNewActivateThingSpaceDevice"] == "True"


def test_what_sqs_does_not_take_waits_in_the_outbox_and_the_id_is_told(
    world: World, sqs: SqsServer, file: Path
) -> None:
    queue = QueueWorld(world, sqs)
    sqs.fail("SendMessageBatch", "InternalError", status=500, times=100)

    result = create(world, "sync", file, "--enqueue", **queue.settings)

    assert result.exit_code == 7
    bulk = int(result.json["id"])
    assert len(world.rows(bulk)) == 3
    assert "outbox" in result.stderr
    assert [message["state"] for message in world.messages(bulk)] == ["waiting"]
