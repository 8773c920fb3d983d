"""`doctor`, against everything that can be wrong, with carriers and queue on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pondctl.models import EMBEDDED_QUEUE
from tests.clients.servers import certificate, serving, well
from tests.queue_world import QueueWorld
from tests.read_only import can_be_tried, run_read_only
from tests.sqs_server import SqsServer
from tests.world import ICCIDS, Result, World


def lines(result: Result, subject: str = "", level: str = "") -> list[dict[str, Any]]:
    """What the probe of that name found."""
    return [e for e in result.json if subject in ("", e["subject"]) and level in ("", e["level"])]


def doctor(world: World, *words: str, **settings: str) -> Result:
    return world.run("doctor", "-o", "json", *words, **settings)


def test_all_is_well_and_nothing_is_written(world: World) -> None:
    before = world.everything()

    result = doctor(world)

    assert result.exit_code == 0, result.stdout
    assert lines(result, level="finding") == []
    said = {each["subject"] for each in lines(result, level="ok")}
    assert {"settings", "disk", "database", "tables", "runs", "alerts", "queue"} <= said
    assert {"thingspace", "thingspace server", "pond", "pond server"} <= said
    assert world.everything() == before


def test_the_table_names_each_finding_with_its_remedy(world: World) -> None:
    result = world.run("doctor", PONDCTL_POND__API_KEY="wrong key")

    assert result.exit_code == 4
    assert "finding" in result.stdout
    assert "api_key" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("settings", "subject", "code"),
    [
        ({"PONDCTL_POND__API_KEY": "wrong key"}, "pond", 4),
        ({"PONDCTL_POND__DISTRIBUTOR_ID": "777"}, "pond", 4),
        ({"PONDCTL_THINGSPACE__CLIENT_SECRET": "wrong secret"}, "thingspace", 4),
        ({"PONDCTL_THINGSPACE__ACCOUNT_NAME": "0000000000-00009"}, "thingspace", 4),
        ({"PONDCTL_THINGSPACE__BASE_URL": "http://127.0.0.1:9/api"}, "thingspace server", 7),
        ({"PONDCTL_POND__BASE_URL": "https://no-such-host.invalid"}, "pond server", 7),
        ({"PONDCTL_DATABASE__NAMES": '{"BulkChange": "NoSuchTable"}'}, "tables", 2),
        ({"PONDCTL_THINGSPACE__PASSWORD": "env:NO_SUCH_VARIABLE"}, "settings", 2),
        ({"PONDCTL_TELEMETRY__METRICS_FILE": "/no/such/folder/x.prom"}, "files", 3),
        ({"PONDCTL_TELEMETRY__NOTIFY": '["nonsense"]'}, "settings", 2),
        ({"PONDCTL_POND__API": "neither"}, "settings", 2),
    ],
)
def test_what_is_wrong_is_named_with_a_remedy_and_the_rest_is_still_probed(
    world: World, settings: dict[str, str], subject: str, code: int
) -> None:
    result = doctor(world, PONDCTL_LIMITS__OUTAGE_SECONDS="1", **settings)

    assert result.exit_code == code, result.stdout
    found = lines(result, subject, "finding")
    assert found, result.stdout
    assert all(each["remedy"] for each in found)
    assert "Traceback" not in result.stderr
    if "PONDCTL_POND__API" not in settings:
        assert lines(result, "disk", "ok")


def test_the_gravest_finding_gives_the_code(world: World) -> None:
    wrong = {"PONDCTL_POND__API_KEY": "wrong key", "PONDCTL_TELEMETRY__NOTIFY": '["nonsense"]'}

    assert doctor(world, **wrong).exit_code == 4


def test_no_secret_is_shown(world: World) -> None:
    planted = {
        "PONDCTL_POND__API_KEY": "planted-key-1",
        "PONDCTL_THINGSPACE__PASSWORD": "planted-password-2",
        "PONDCTL_THINGSPACE__CLIENT_SECRET": "planted-secret-3",
        "PONDCTL_TELEMETRY__NOTIFY": '["json://planted-4:planted-5@127.0.0.1/x"]',
    }
    for words in (("doctor",), ("doctor", "-o", "json", "-v")):
        result = world.run(*words, **planted)
        assert "planted" not in result.stdout + result.stderr


def test_refused_logins_stop_the_probe_until_they_are_forgotten(world: World) -> None:
    wrong = {"PONDCTL_THINGSPACE__PASSWORD": "another one"}
    for _ in range(4):
        result = doctor(world, **wrong)
        assert result.exit_code == 4
    assert world.thingspace.failed_logins == 2
    assert "--reset-lockout" in lines(result, "thingspace", "finding")[0]["remedy"]
    assert "--reset-lockout" in world.run("sync-bulk", world.given(ICCIDS[0]), **wrong).stderr

    refused = world.run("doctor", "--reset-lockout", PONDCTL_ACCESS__ROLE="operator", **wrong)
    assert refused.exit_code == 4
    assert world.thingspace.failed_logins == 2
    doctor(world, "--reset-lockout", **wrong)
    assert world.thingspace.failed_logins == 3


def test_without_the_right_to_write_no_login_is_tried(world: World) -> None:
    if not can_be_tried(world):
        pytest.skip("needs a file that cannot be written")

    result = run_read_only(world, "doctor", "-o", "json", PONDCTL_ACCESS__ROLE="viewer")

    assert result.exit_code == 0, result.stdout + result.stderr
    assert "no login is tried" in lines(result, "thingspace", "warning")[0]["message"]
    assert world.calls("login") == 0


def test_the_shared_session_is_used_by_who_may_only_read(world: World) -> None:
    if not can_be_tried(world):
        pytest.skip("needs a file that cannot be written")
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    world.run("sync-bulk", world.given(ICCIDS[0]))
    before = world.everything()

    result = run_read_only(world, "doctor", "-o", "json")

    assert "shared session" in lines(result, "thingspace", "ok")[0]["message"]
    assert world.calls("login") == 1
    assert result.exit_code == 4
    assert "write" in lines(result, "tables", "finding")[0]["message"]
    assert world.everything() == before


@contextlib.contextmanager
def with_another_clock(url: str, seconds: float) -> Iterator[str]:
    """The server behind `url`, as if its clock were ahead by so many seconds."""
    parts = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            with contextlib.closing(http.client.HTTPConnection(parts.netloc)) as there:
                there.request(self.command, self.path, self.rfile.read(length), headers)
                answer = there.getresponse()
                body = answer.read()
            self.send_response_only(answer.status)
            self.send_header("Date", formatdate(time.time() + seconds, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}{parts.path}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("minutes", "level", "code"), [(10, "finding", 3), (-10, "finding", 3), (1, "warning", 0)]
)
def test_a_clock_that_is_off_is_found(world: World, minutes: int, level: str, code: int) -> None:
    url = world.settings["PONDCTL_THINGSPACE__BASE_URL"]
    with with_another_clock(url, 60 * minutes) as shifted:
        result = doctor(world, PONDCTL_THINGSPACE__BASE_URL=shifted)

    [clock] = [each for each in lines(result, "thingspace server") if "clock" in each["message"]]
    assert (clock["level"], result.exit_code) == (level, code), result.stdout
    assert ("behind" if minutes > 0 else "ahead of") in clock["message"]


def test_a_certificate_that_nobody_vouches_for_is_a_finding(world: World, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    with serving(well, context) as port:
        result = doctor(world, PONDCTL_POND__BASE_URL=f"https://127.0.0.1:{port}")

    assert result.exit_code == 7
    assert "certificate" in lines(result, "pond server", "finding")[0]["message"]


def test_a_run_that_died_and_an_open_alert_are_findings(world: World) -> None:
    world.thingspace.add(ICCIDS[0], state="active", msisdn="12015550123")
    world.run("sync-bulk", world.given(ICCIDS[0]))
    old = "2026-01-01 00:00:00.000000"
    values = "state = 'running', lease_until = :at, finished_at = NULL"
    world.execute(f"UPDATE {world.own_name('run')} SET {values}", at=old)
    world.given(ICCIDS[0], Status="PROCESSING")

    result = doctor(world)

    assert result.exit_code == 3
    assert "died" in lines(result, "runs", "finding")[0]["message"]
    assert "stuck header" in lines(result, "alerts", "finding")[0]["message"]


def test_a_queue_is_held_against_what_pondctl_needs(world: World, sqs: SqsServer) -> None:
    at = QueueWorld(world, sqs)

    result = doctor(world, **at.settings)

    assert result.exit_code == 0
    assert "dead-letter queue" in lines(result, "queue", "warning")[0]["message"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:other", "maxReceiveCount": 1}
    short = {"MessageRetentionPeriod": 3600, "VisibilityTimeout": 10, "RedrivePolicy": json.dumps(policy)}
    sqs.set_up["checks"] = short
    wrong = doctor(world, PONDCTL_QUEUE__DEAD_LETTER_URL=sqs.create("dead"), **at.settings)
    assert wrong.exit_code == 2
    assert "go to other" in lines(wrong, "queue", "finding")[0]["message"]
    warned = " ".join(each["message"] for each in lines(wrong, "queue", "warning"))
    assert all(word in warned for word in ("maxReceiveCount is 1", "kept for 1 h", "visibility timeout"))
    sqs.denied.add("GetQueueAttributes")
    assert doctor(world, **at.settings).exit_code == 4
    sqs.denied.clear()
    assert doctor(world, PONDCTL_QUEUE__URL=f"{at.url}-gone").exit_code == 7
    assert EMBEDDED_QUEUE in str(lines(doctor(world), "queue", "ok"))


def test_without_any_settings_it_says_where_to_begin(world: World) -> None:
    unset = dict.fromkeys(
        ("PONDCTL_DATABASE__URL", "PONDCTL_THINGSPACE__CLIENT_ID", "PONDCTL_POND__BASE_URL"), ""
    )

    result = doctor(world, **unset)

    assert result.exit_code == 2
    [found] = lines(result, level="finding")
    assert (found["subject"], "pondctl demo" in found["remedy"]) == ("database", True)


def test_a_hanging_server_costs_bounded_time(world: World) -> None:
    world.sandbox.fault("pond.get_sim_status:latency=20")
    world.sandbox.fault("pond.get_device:latency=20")

    result = doctor(world, PONDCTL_LIMITS__CALL_SECONDS="1", PONDCTL_LIMITS__OUTAGE_SECONDS="1")

    assert result.exit_code == 7
    assert lines(result, "pond", "finding")
