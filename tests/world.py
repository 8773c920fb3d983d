"""One little world for tests from the command line to SQL: a database, simulated carriers, the program."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pondctl.cli import main
from pondctl.db.database import Database
from pondctl.db.schema import create_host_tables, init_database, upgrade
from pondctl.sandbox import Sandbox

ICCIDS = [f"8914800000{number:09d}" + "8" for number in range(1, 41)]
HOST_TABLES = ("BulkChange", "M2M_DeviceChange", "PondDeviceCarrierRatePlan", "DeviceBulkChangeLog")
_HELD: list[object] = []
# Recent on whatever day the tests run: a worker and the alerts leave alone what is older than a month.
CREATED = f"{datetime.now(UTC) - timedelta(days=8):%Y-%m-%d} 08:00:00"
_NEVER_COMPARED = ("token", "pace", "audit", "device_key")

Row = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """How one run of the program ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """stdout as the one document it must be."""
        return json.loads(self.stdout)


class World:
    """The database behind `url`, the sandbox, and settings that point the program at both."""

    def __init__(self, url: str, sandbox: Sandbox, settings: Mapping[str, str]) -> None:
        self.url = url
        self.sandbox = sandbox
        self.settings = dict(settings)
        self.thingspace = sandbox.thingspace
        # The program's own engine: it knows what the driver behind the address needs.
        self.engine = Database.open(url).host_engine
        self._started: list[subprocess.Popen[str]] = []

    def run(self, *words: object, stdin: str = "", **settings: str) -> Result:
        """Run the program in this process, as `pondctl WORDS…` would run."""
        out, err = io.StringIO(), io.StringIO()
        with _environment(self.settings | settings), _streams(out, err, stdin):
            try:
                main([str(word) for word in words])
                code: object = 0
            except SystemExit as ending:
                code = ending.code
        assert "telemetry is broken" not in err.getvalue(), err.getvalue()
        return Result(int(code or 0) if not isinstance(code, str) else 1, out.getvalue(), err.getvalue())

    def spawn(self, *words: object, **settings: str) -> subprocess.Popen[str]:
        """Start the program as a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pondctl", *(str(word) for word in words)],
            env=os.environ | self.settings | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def given(self, *devices: str | Mapping[str, Any] | None, provider: int = 2, **header: Any) -> int:
        """A bulk change of these devices (ICCIDs, or columns where they differ); returns its id."""
        values = {
            "ServiceProviderId": provider,
            "ChangeRequestType": "StatusUpdate",
            "Status": "NEW",
            "CreatedBy": "tests",
            "CreatedDate": CREATED,
            "IsActive": True,
            "IsDeleted": False,
        } | header
        with self.engine.begin() as connection:
            connection.execute(_insert("BulkChange", values), values)
            bulk = int(connection.execute(sa.text('SELECT MAX("Id") FROM "BulkChange"')).scalar_one())
            for device in devices:
                row = dict(device) if isinstance(device, Mapping) else {"ICCID": device}
                self._add_row(connection, bulk, row)
        return bulk

    def _add_row(self, connection: sa.Connection, bulk: int, row: Row) -> None:
        values = {
            "BulkChangeId": bulk,
            "Status": "PENDING",
            "IsProcessed": False,
            "HasErrors": False,
            "CreatedBy": "tests",
            "CreatedDate": CREATED,
            "IsActive": True,
            "IsDeleted": False,
        } | row
        connection.execute(_insert("M2M_DeviceChange", values), values)

    def rows(self, bulk: int) -> list[Row]:
        """The device changes of a bulk change, by id."""
        return self._select('"M2M_DeviceChange" WHERE "BulkChangeId" = :id ORDER BY "Id"', id=bulk)

    def header(self, bulk: int) -> Row:
        """The header row."""
        return self._select('"BulkChange" WHERE "Id" = :id', id=bulk)[0]

    def log(self, bulk: int) -> list[Row]:
        """The change log of a bulk change."""
        return self._select('"DeviceBulkChangeLog" WHERE "BulkChangeId" = :id ORDER BY "Id"', id=bulk)

    def whole_log(self) -> list[Row]:
        """The change log of all bulk changes."""
        return self._select('"DeviceBulkChangeLog" ORDER BY 1')

    def messages(self, bulk: int) -> list[Row]:
        """The messages about a bulk change that are queued or sent, attributes read."""
        found = self._select(f"{self.own_name('message')} WHERE bulk_change_id = :id ORDER BY id", id=bulk)
        return [row | {"attributes": json.loads(row["attributes"])} for row in found]

    def own(self, table: str) -> list[Row]:
        """All rows of one of pondctl's own tables, oldest first."""
        return self._select(f"{self.own_name(table)} ORDER BY 1")

    def host(self, table: str) -> list[Row]:
        """All rows of one of the host's tables, oldest first."""
        return self._select(f'"{table}" ORDER BY 1')

    def everything(self) -> dict[str, list[Row]]:
        """Every row of every table, but for the shared tokens, the pacing and what is on record."""
        names = self._table_names()
        compared = (name for name in names if not name.rstrip('"').endswith(_NEVER_COMPARED))
        return {name: self._select(f"{name} ORDER BY 1") for name in compared}

    def execute(self, statement: str, **values: Any) -> None:
        """Change something behind the program's back."""
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def account_is_large(self) -> None:
        """Let the last scan have shown so many devices that lookups are the cheaper way."""
        values = {"name": "account_size:0000998877-00001", "value": "1000000", "at": "2026-11-20 08:00:00"}
        table = self.own_name("meta")
        self.execute(f"INSERT INTO {table} (name, value, changed_at) VALUES (:name, :value, :at)", **values)

    def calls(self, endpoint: str = "") -> int:
        """How many carrier calls the sandbox saw whose endpoint contains this."""
        return sum(count for name, count in self.sandbox.calls.items() if endpoint in name)

    def _table_names(self) -> Sequence[str]:
        inspector = sa.inspect(self.engine)
        host = [f'"{name}"' for name in HOST_TABLES]
        if self.engine.dialect.name == "mssql":
            return host + [f"pondctl.{name}" for name in inspector.get_table_names(schema="pondctl")]
        return host + [name for name in inspector.get_table_names() if name.startswith("pondctl_")]

    def own_name(self, table: str) -> str:
        """What one of the tables of pondctl is called here."""
        return f"pondctl.{table}" if self.engine.dialect.name == "mssql" else f"pondctl_{table}"

    def _select(self, rest: str, **values: Any) -> list[Row]:
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(f"SELECT * FROM {rest}"), values).mappings()
            return [_as_python(row) for row in found]

    def close(self) -> None:
        """Give the connections back; what was started and still runs must not reach the next world."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.engine.dispose()


def make_tables(database: Database) -> None:
    """The tables of the contract and pondctl's own, all of them empty.

    A server keeps them from test to test, and whatever else is in its database.
    """
    if database.host_address.is_sqlite:
        init_database(database)
        return
    with database.host_engine.begin() as connection:
        inspector = sa.inspect(connection)
        own = [f"pondctl.{name}" for name in inspector.get_table_names(schema="pondctl")]
        host = [f'"{name}"' for name in inspector.get_table_names() if name in HOST_TABLES]
        for name in (*own, *host):
            connection.execute(sa.text(f"DROP TABLE {name}"))
    upgrade(database)
    create_host_tables(database)


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Have the tables of a server for oneself; SQLite has a file for each test."""
    if _HELD or not os.environ.get("PONDCTL_TEST_DATABASE_URL"):
        yield
        return
    with (Path(tempfile.gettempdir()) / "pondctl-tests-turn").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _HELD.append(lock)
        try:
            yield
        finally:
            _HELD.clear()


def _insert(table: str, values: Mapping[str, Any]) -> sa.TextClause:
    columns = ", ".join(f'"{name}"' for name in values)
    return sa.text(f'INSERT INTO "{table}" ({columns}) VALUES ({", ".join(f":{name}" for name in values)})')


def _as_python(row: Mapping[str, Any]) -> Row:
    bits = {"IsProcessed", "HasErrors", "IsActive", "IsDeleted"}
    return {name: bool(value) if name in bits and value is not None else value for name, value in row.items()}


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _streams(out: io.StringIO, err: io.StringIO, stdin: str) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        sys.stdin = before
