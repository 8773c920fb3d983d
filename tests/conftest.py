"""What every test gets: a clean environment, and on demand a little world."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pondctl.db.database import Database
from pondctl.sandbox import Sandbox, SandboxConfig
from tests.compiled_once import compiled_once
from tests.db.sql_server_words import watched_statements
from tests.sqs_server import AWS_ENVIRONMENT, SqsServer
from tests.world import World, make_tables, turn


def pytest_xdist_auto_num_workers() -> int:
    """One worker where all tests share the tables of one server; else two for each core, for tests wait
    for somebody more than half of their time.

    More of them, asked for by number, take turns (`tests.world.turn`).
    """
    return 1 if os.environ.get("PONDCTL_TEST_DATABASE_URL") else 2 * (os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, file or width of whoever runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith("PONDCTL_") and name != "PONDCTL_TEST_DATABASE_URL":
            monkeypatch.delenv(name)
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session", autouse=True)
def sql_server_takes_it() -> Iterator[None]:
    """Every statement that any test runs on SQLite is held against SQL Server's dialect too."""
    with watched_statements(), compiled_once():
        yield


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """One simulated pair of carriers; `world` resets it for each test."""
    with Sandbox(SandboxConfig()) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables as `db init` makes them; a test gets a copy of the file, for migrations take a while."""
    path = tmp_path_factory.mktemp("made") / "made.db"
    database = Database.open(f"sqlite:///{path}")
    make_tables(database)
    database.close()
    return path


@pytest.fixture
def world(shared_sandbox: Sandbox, made_file: Path, tmp_path: Path) -> Iterator[World]:
    """A database with the tables, simulated carriers, and the program pointed at both."""
    shared_sandbox.reset()
    with turn():
        yield from _world(shared_sandbox, made_file, tmp_path)


def _world(shared_sandbox: Sandbox, made_file: Path, tmp_path: Path) -> Iterator[World]:
    url = os.environ.get("PONDCTL_TEST_DATABASE_URL")
    if url:
        database = Database.open(url)
        make_tables(database)
        database.close()
    else:
        path = tmp_path / "world.db"
        shutil.copyfile(made_file, path)
        url = f"sqlite:///{path}"
    settings = shared_sandbox.environment() | {
        "PONDCTL_DATABASE__URL": url,
        "PONDCTL_THINGSPACE__REQUESTS_PER_SECOND": "1000",
        "PONDCTL_POND__REQUESTS_PER_SECOND": "1000",
    }
    built = World(url, shared_sandbox, settings)
    yield built
    built.close()


@pytest.fixture(scope="session")
def shared_sqs() -> Iterator[SqsServer]:
    """One small fast SQS; `sqs` resets it for each test."""
    server = SqsServer()
    server.second = 0.1
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sqs(shared_sqs: SqsServer, monkeypatch: pytest.MonkeyPatch) -> SqsServer:
    """An SQS without queues, and credentials for it."""
    shared_sqs.reset()
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return shared_sqs
