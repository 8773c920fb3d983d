"""Builds an engine for an address; the quirks of databases and drivers are here and nowhere else."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa

from pondctl.db.odbc_types import keep_long_texts, type_parameters
from pondctl.db.urls import Address
from pondctl.db.whole_answers import read_whole_answers
from pondctl.errors import ConfigurationError

WRITING: Final = "pondctl_writing"
_BUSY_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 15
_QUERY_SECONDS: Final = 120
_NO_WRITING: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def build_engine(address: Address) -> sa.Engine:
    """An engine that has not connected yet."""
    return _sqlite_engine(address) if address.is_sqlite else _sqlserver_engine(address)


def require_file(address: Address) -> None:
    """SQLite would make an empty file of a name that is mistyped; that is for `db init` alone."""
    if address.file is not None and not address.file.exists():
        raise ConfigurationError(
            f"the database file {address.file} does not exist",
            hint="is `database.url` right? `pondctl db init` makes a new database",
        )


def _sqlite_engine(address: Address) -> sa.Engine:
    seconds = float(str(address.url.query.get("timeout", _BUSY_SECONDS)))
    engine = sa.create_engine(
        address.url.difference_update_query(["timeout"]),
        # The driver's own implicit transactions would begin late and without the write lock.
        connect_args={"isolation_level": None, "timeout": seconds},
        hide_parameters=True,
        pool_size=10,
        max_overflow=60,
        # The one used last has its pages at hand; in turn, each would keep a copy of them.
        pool_use_lifo=True,
    )

    def connect(
        _dialect: object, _record: object, args: tuple[Any, ...], options: dict[str, Any]
    ) -> sqlite3.Connection:
        return _open_sqlite(args, options, address.file)

    def begin(connection: sa.Connection) -> None:
        # A transaction that writes takes the lock first: one that read before could never get it.
        writing = connection.get_execution_options().get(WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    sa.event.listen(engine, "do_connect", connect)
    sa.event.listen(engine, "begin", begin)
    return engine


# Devices come in no order: with SQLite's own 2 MB, pages of the indexes are read, and copied into the
# file, again and again. The journal may grow to 16 MB before it is copied.
_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "cache_size = -16384",
    "wal_autocheckpoint = 4000",
)


def _open_sqlite(args: tuple[Any, ...], options: dict[str, Any], file: Path | None) -> sqlite3.Connection:
    connection: sqlite3.Connection = sqlite3.connect(*args, **options)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.OperationalError as error:
        connection.close()
        if file is None or error.sqlite_errorcode & 0xFF not in _NO_WRITING:
            raise
        return _open_to_look(file, options, error)
    return connection


def _open_to_look(file: Path, options: dict[str, Any], error: sqlite3.OperationalError) -> sqlite3.Connection:
    """Of a file or a folder that may not be written; a transaction that writes is refused at its begin."""
    # The files beside it are where others write now. Without them nobody does, and SQLite would want to
    # make them, unless it is told that the file stands still.
    written_now = file.with_name(f"{file.name}-wal").exists()
    for how in ("mode=ro", "mode=ro&immutable=1")[: 1 if written_now else 2]:
        uri = f"file:{quote(str(file.absolute()))}?{how}"
        connection: sqlite3.Connection = sqlite3.connect(uri, **{**options, "uri": True})
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            connection.close()
        else:
            return connection
    raise error


def _sqlserver_engine(address: Address) -> sa.Engine:
    options: dict[str, Any] = {}
    if address.freetds:
        # Without these: HY090 on a bound parameter, an error on the rollback that follows an error, and
        # rows side by side in one VALUES, where a NULL (which it sends as varchar) meets numbers.
        options = {
            "use_setinputsizes": False,
            "ignore_no_transaction_on_rollback": True,
            "use_insertmanyvalues": False,
        }
    elif address.url.get_driver_name() == "pyodbc":
        # FreeTDS crashes the interpreter with it.
        options = {"fast_executemany": True}
    engine = sa.create_engine(
        address.url,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_size=10,
        max_overflow=60,
        hide_parameters=True,
        connect_args={"timeout": _CONNECT_SECONDS},
        **options,
    )
    if address.url.get_driver_name() == "pyodbc":
        # The driver manager would keep connections too, dead ones among them.
        engine.dialect.loaded_dbapi.pooling = False  # type: ignore[attr-defined]
    sa.event.listen(engine, "connect", _make_ready)
    read_whole_answers(engine)
    if address.freetds:
        keep_long_texts(engine)
    elif options:
        type_parameters(engine)
    return engine


def _make_ready(connection: Any, _record: object) -> None:
    # A driver that knows no query timeout is used without one.
    with contextlib.suppress(Exception):
        connection.timeout = _QUERY_SECONDS
    # A server can be set not to tell how many rows were written, and that is compared with.
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("SET NOCOUNT OFF")
