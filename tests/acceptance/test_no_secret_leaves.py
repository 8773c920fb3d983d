"""Planted secrets, every command at debug level, on good and on bad ways: none comes out anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import psutil
import pytest
from typer.main import get_group

from pondctl.cli import COMMANDS, Entry, build, main
from pondctl.commands._access import needs
from pondctl.sandbox import Fault, FaultKind, Sandbox, SandboxConfig
from pondctl.telemetry.redact import register_secret
from tests.acceptance import planted
from tests.acceptance.planted import Search
from tests.dead_letters import bury
from tests.queue_world import QueueWorld
from tests.sqs_server import SqsServer
from tests.webhook import Webhook, listening
from tests.world import ICCIDS, Result, World

A, B, C, D, E, F = ICCIDS[:6]
OPTIONS = ("-v", "--debug-http", "--log-format", "json")
# These run until they are stopped, or need a terminal of their own.
LEFT_OUT = {"demo", "sandbox start", "dead-letter review"}


def command_names() -> list[str]:
    """Every command there is, as it is typed."""
    found = []
    for name, command in get_group(build(COMMANDS)).commands.items():
        inner = getattr(command, "commands", None)
        found += [f"{name} {each}" for each in inner] if inner else [name]
    return found


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """Where notifications go."""
    with listening() as there:
        yield there


@pytest.fixture
def secretive(
    world: World, sqs: SqsServer, hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world whose carriers, queue, notifications and environment hold the planted secrets."""
    config = SandboxConfig(
        client_secret=planted.CLIENT_SECRET,
        password=planted.THINGSPACE_PASSWORD,
        api_key=planted.POND_KEY,
        pond_username="user",
        pond_password=planted.BASIC_PASSWORD,
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", planted.AWS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", planted.AWS_SECRET)
    with Sandbox(config) as sandbox:
        world.sandbox, world.thingspace = sandbox, sandbox.thingspace
        world.settings |= sandbox.environment() | {
            "PONDCTL_LIMITS__OUTAGE_SECONDS": "1",
            "PONDCTL_POND__SETTLE_SECONDS": "0.2",
            "PONDCTL_TELEMETRY__METRICS_FILE": str(tmp_path / "pondctl.prom"),
            "PONDCTL_TELEMETRY__NOTIFY_CHANGES": "true",
            "PONDCTL_TELEMETRY__NOTIFY": json.dumps(
                [
                    f"json://hook:{planted.WEBHOOK_PASSWORD}@127.0.0.1:{hook.port}/{planted.WEBHOOK_TOKEN}",
                    # Nobody listens: what is said of that must not name it.
                    f"json://hook:{planted.WEBHOOK_PASSWORD}@127.0.0.1:9/{planted.WEBHOOK_TOKEN}",
                ]
            ),
        }
        queue = QueueWorld(world, sqs)
        world.settings |= queue.settings | {"PONDCTL_QUEUE__DEAD_LETTER_URL": sqs.create("checks-dead")}
        for iccid in (A, B):
            world.thingspace.add(iccid, state="active", msisdn="12015550123")
        world.thingspace.add(C, state="pending activation")
        for iccid in (A, D, E):
            sandbox.pond.add_sim(iccid, ((1002, "ACTIVE"),))
        yield world


def words_for(world: World, folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """What each command is given. One that is not named here runs with nothing."""
    bulk, pond, failed = world.given(A, B, C, F), world.given(D, provider=4), world.given(F)
    devices = folder / "devices.txt"
    devices.write_text(f"{A}\n{D}\n")
    letter = bury(world)[0]
    document = {
        "username": "u",
        "password": planted.CALLBACK_PASSWORD,
        "status": "Success",
        "requestId": "r-1",
    }
    notice = folder / "notice.json"
    notice.write_text(json.dumps(document | {"deviceIds": [{"id": A, "kind": "Iccid"}]}))
    why = ("--reason", "tests", "--yes")
    return {
        "sync-bulk": [(bulk, "--strategy", "lookup"), (bulk, "--strategy", "scan", "--dry-run"), (failed,)],
        "activate": [(D, "--package-type", 1001), (E, "--package-type", 1001, "--dry-run")],
        "suspend": [(D,)],
        "resume": [(D,)],
        "terminate": [(E, *why)],
        "retry-failed": [(failed,), (failed, "--enqueue")],
        "reconcile": [
            (),
            ("--apply", "--max-changes", 5),
            ("--bulk-change", pond, "--plan-out", folder / "plan"),
        ],
        "ingest": [(notice,)],
        "worker": [("--once",)],
        "bulk list": [(), ("-o", "csv")],
        "bulk show": [(bulk,)],
        "bulk create": [("--operation", "sync", "--service-provider", 2, "--from", devices)],
        "bulk cancel": [(pond, *why)],
        "watch": [(bulk, "--timeout", "1s")],
        "device show": [(A,)],
        "device lock": [(A, "--reason", "tests")],
        "device unlock": [(A, "--reason", "tests")],
        "runs show": [("nope",)],
        "runs resume": [("nope",)],
        "runs cancel": [("nope",)],
        "dead-letter show": [(letter, "--payload"), (letter,)],
        "dead-letter requeue": [(letter, *why)],
        "dead-letter discard": [(letter, *why)],
        "dead-letter restore": [(letter, *why)],
        "config show": [("-o", form) for form in ("table", "json", "csv")],
        "config init": [("--config", folder / "written.toml")],
        "db upgrade": [(), ("--sql",)],
        "db grants": [("someone",)],
        "report bulk": [(bulk,), (bulk, "--html", folder / "report.html")],
    }


def look(search: Search, where: object, result: Result) -> Result:
    """Search what a run wrote; no run may break."""
    search.look(f"stdout of {where}", result.stdout)
    search.look(f"stderr of {where}", result.stderr)
    assert result.exit_code != 1, (where, result.stderr)
    assert "Traceback" not in result.stderr, where
    return result


@pytest.mark.timeout(400)
def test_no_planted_secret_comes_out_of_any_command(secretive: World, hook: Webhook, tmp_path: Path) -> None:
    world, folder = secretive, tmp_path / "work"
    folder.mkdir()
    words = words_for(world, folder)
    ran: list[tuple[str, Result]] = []
    for name in command_names():
        if name in LEFT_OUT:
            continue
        for more in words.get(name, [()]):
            ran.append((name, world.run(*OPTIONS, *name.split(), *more)))
    ran += list(_bad_ways(world, words))
    ran += [(f"help of {name}", world.run(*name.split(), "--help")) for name in command_names()]

    tokens = world.thingspace.tokens
    bearer = tokens._bearer[0] if tokens._bearer else ""
    search = Search(
        {
            "oauth secret": planted.CLIENT_SECRET,
            "bearer": bearer,
            **{f"session {number}": session for number, session in enumerate(tokens._sessions)},
            "ThingSpace password": planted.THINGSPACE_PASSWORD,
            "POND key": planted.POND_KEY,
            "basic password": planted.BASIC_PASSWORD,
            "SQL password": planted.SQL_PASSWORD,
            "AWS key": planted.AWS_KEY_ID,
            "AWS secret": planted.AWS_SECRET,
            "proxy password": planted.PROXY_PASSWORD,
            "key in a URL": planted.URL_KEY,
            "callback password": planted.CALLBACK_PASSWORD,
            "text of an exception": planted.EXCEPTION_TEXT,
            "webhook password": planted.WEBHOOK_PASSWORD,
            "webhook token": planted.WEBHOOK_TOKEN,
        }
    )
    assert len(search.secrets) >= 15  # and each session there was
    assert all(search.secrets.values())
    for where, result in ran:
        look(search, where, result)
    search.look("notifications", hook.text)
    # Database, metrics, state, reports: whatever was left behind but for what the test itself planted.
    search.look_in_files(tmp_path, [folder / "notice.json"])

    assert search.hits == []
    assert hook.taken
    assert "pondctl_notifications_total" in (tmp_path / "pondctl.prom").read_text()
    text = "".join(result.stderr for _, result in ran)
    # It was no silent run: exchanges of both carriers and of SQS were shown, each kind of secret as ***.
    assert text.count('"event": "http exchange"') > 50
    assert {"thingspace", "pond", "sqs"} <= set(re.findall(r'"carrier": "(\w+)"', text.lower()))
    assert text.count("***") > 100


def _bad_ways(world: World, words: dict[str, list[tuple[object, ...]]]) -> Iterator[tuple[str, Result]]:
    bulk = words["sync-bulk"][0][0]

    def tried(where: str, *command: object, **settings: str) -> tuple[str, Result]:
        return where, world.run(*OPTIONS, *command, **settings)

    for kind in (FaultKind.STATUS, FaultKind.HTML, FaultKind.CUT_AFTER):
        value = {"value": 503} if kind is FaultKind.STATUS else {}
        for endpoint in ("thingspace.lookup", "thingspace.login", "pond.list_packages"):
            world.sandbox.fault(Fault(endpoint, kind, count=1, **value))  # type: ignore[arg-type]
        yield tried(f"sync with {kind}", "sync-bulk", bulk, "--strategy", "lookup")
        yield tried(f"activate with {kind}", "activate", E, "--package-type", 1003)
        world.sandbox.clear_faults()
    yield tried("wrong password", "sync-bulk", bulk, PONDCTL_THINGSPACE__PASSWORD=planted.URL_KEY)
    yield tried("wrong client", "sync-bulk", bulk, PONDCTL_THINGSPACE__CLIENT_SECRET=planted.URL_KEY)
    yield tried("wrong key", "activate", A, "--package-type", 1001, PONDCTL_POND__API_KEY=planted.URL_KEY)
    driver = "driver=ODBC+Driver+18+for+SQL+Server&timeout=1"
    sql = f"mssql+pyodbc://sa:{quote_plus(planted.SQL_PASSWORD)}@127.0.0.1:9/iot?{driver}"
    for command in (("status",), ("sync-bulk", bulk), ("config", "show"), ("db", "check")):
        yield tried(f"SQL Server away: {command}", *command, PONDCTL_DATABASE__URL=sql)
    raw = f"mssql+pyodbc://sa:{planted.SQL_PASSWORD}@127.0.0.1:9/iot?{driver}"
    yield tried("a raw password", "status", PONDCTL_DATABASE__URL=raw)
    yield tried("no URL", "status", PONDCTL_DATABASE__URL=planted.SQL_PASSWORD)
    away = {"PONDCTL_THINGSPACE__BASE_URL": "https://carrier.invalid/api"}
    for proxy in (
        "http://user:{}@127.0.0.1:9",
        "ftp://user:{}@127.0.0.1:9",
        "http://user:{}@[::1",
        "user:{}@127.0.0.1:x",
    ):
        yield tried(
            f"proxy {proxy}",
            *("sync-bulk", bulk),
            **away,
            HTTPS_PROXY=proxy.format(planted.PROXY_PASSWORD),
            https_proxy=proxy.format(planted.PROXY_PASSWORD),
        )
    for url in (
        "https://u:{}@sqs.us-east-1.amazonaws.com/1/q",
        "https://sqs.us-east-1.amazonaws.com/1/q?key={}",
    ):
        yield tried(f"queue {url}", "config", "show", PONDCTL_QUEUE__URL=url.format(planted.URL_KEY))
    for url in ("https://h/api?key={}", "https://u:{}@h/api"):
        yield tried(f"carrier {url}", "config", "show", PONDCTL_POND__BASE_URL=url.format(planted.URL_KEY))


def test_a_bug_leaves_a_crash_file_and_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets in the text of an exception: one that is known, and some that only look like one."""
    register_secret(planted.EXCEPTION_TEXT)
    texts = {
        "known": planted.EXCEPTION_TEXT,
        "by its name": planted.CALLBACK_PASSWORD,
        "in a URL": planted.PROXY_PASSWORD,
        "by its form": planted.AWS_KEY_ID,
    }

    @needs("viewer")
    def boom() -> None:
        """Break."""
        raise RuntimeError(
            f"{texts['known']} {{'password': '{texts['by its name']}'}} "
            f"http://user:{texts['in a URL']}@proxy {texts['by its form']}"
        )

    with pytest.raises(SystemExit) as ended:
        main(
            ["-v", "--debug-http", "boom"], commands=[Entry("Try", "boom", boom), Entry("Try", "other", boom)]
        )

    told = capsys.readouterr()
    search = Search(texts)
    search.look("output", told.out + told.err)
    search.look_in_files(tmp_path)
    assert ended.value.code == 1
    assert list(tmp_path.rglob("crash-*.log"))
    assert search.hits == []


def test_a_process_shows_no_secret_to_those_who_list_processes(secretive: World) -> None:
    process = secretive.spawn("worker")
    try:
        lines = [" ".join(each.cmdline()) for each in (psutil.Process(process.pid),)]
        lines += [" ".join(child.cmdline()) for child in psutil.Process(process.pid).children(recursive=True)]
    finally:
        process.terminate()
        process.communicate(timeout=30)

    assert any("pondctl worker" in line for line in lines)
    assert not re.search("(?i)planted", "".join(lines))


def test_no_cassette_holds_anything_that_looks_like_a_secret() -> None:
    """All values that stand behind a telling name were made up, and say so."""
    telling = re.compile(
        r"(?i)[\"']?(authorization|vz-m2m-token|x-api-key|cookie|password|client_secret|access_token|sessionToken)"
        r"[\"']?\s*[:=]\s*(?:\n\s*-\s*)?[\"']?([^\"',}\n]+)"
    )
    cassettes = sorted((Path(__file__).parent.parent.parent / "cassettes").rglob("*.yaml"))
    found: list[Any] = []
    for path in cassettes:
        text = path.read_text(encoding="utf-8")
        found += [(path.name, *match.groups()) for match in telling.finditer(text)]
        assert not re.search(r"(?:AKIA|ASIA)[A-Z0-9]{16}|BEGIN [A-Z ]*PRIVATE KEY|\beyJ[\w-]{20,}", text), (
            path
        )
    assert len(cassettes) > 40
    assert found
    made_up = re.compile(
        r"(?i)^\W*(?:(?:Bearer|Basic) )?(?:\*+|FILTERED|11111111-2222-4333-8444-[56]{12}|\S*made-?up\S*)\W*$"
    )
    assert [each for each in found if not made_up.match(each[2])] == []
