from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

from pondctl.db.driver_errors import DRIVER_HINT, PASSING, Trouble, diagnose, is_connecting
from pondctl.errors import (
    AuthenticationError,
    ConfigurationError,
    DatabaseUnavailableError,
    PermissionDeniedError,
    PondctlError,
    SchemaError,
)

MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"


def wrapped(original: Exception) -> sa.exc.DBAPIError:
    return sa.exc.DBAPIError("SELECT 1", {"password": "secret"}, original, hide_parameters=True)


def odbc(state: str, words: str) -> sa.exc.DBAPIError:
    return wrapped(Exception(state, f"[{state}] {words}"))


@pytest.mark.parametrize(
    ("state", "words", "trouble", "error"),
    [
        ("40001", "deadlocked (1205) (SQLExecDirectW)", Trouble.BUSY, DatabaseUnavailableError),
        ("HYT00", "Lock request time out (1222) (SQLExecDirectW)", Trouble.BUSY, DatabaseUnavailableError),
        ("42000", "Snapshot isolation (3960) (SQLExecDirectW)", Trouble.BUSY, DatabaseUnavailableError),
        ("HYT00", "Query timeout expired (0) (SQLExecDirectW)", Trouble.TIMEOUT, DatabaseUnavailableError),
        ("08S01", "Communication link failure (10054)", Trouble.CONNECTION, DatabaseUnavailableError),
        (
            "08001",
            "TCP Provider: 0x68 (104) (SQLDriverConnect)",
            Trouble.CONNECTION,
            DatabaseUnavailableError,
        ),
        (
            "28000",
            "Login failed for user 'sa'. (18456) (SQLDriverConnect)",
            Trouble.LOGIN,
            AuthenticationError,
        ),
        (
            "28000",
            "Login failed. (18456) (SQLDriverConnect); [01000] [FreeTDS] Unexpected EOF (20017)",
            Trouble.LOGIN,
            AuthenticationError,
        ),
        ("42000", "SELECT denied (229) (SQLExecDirectW)", Trouble.PERMISSION, PermissionDeniedError),
        ("42000", "CREATE TABLE denied (262) (SQLExecDirectW)", Trouble.PERMISSION, PermissionDeniedError),
        ("42000", "not able to access (916) (SQLDriverConnect)", Trouble.PERMISSION, PermissionDeniedError),
        ("42S02", "Invalid object name 'x'. (208) (SQLExecDirectW)", Trouble.SCHEMA, SchemaError),
        ("42S22", "Invalid column name 'x'. (207) (SQLExecDirectW)", Trouble.SCHEMA, SchemaError),
        (
            "42000",
            "could not allocate space (1105) (SQLExecDirectW)",
            Trouble.DISK_FULL,
            DatabaseUnavailableError,
        ),
        ("23000", "Violation of UNIQUE KEY (2627) (SQLExecDirectW)", Trouble.CONFLICT, PondctlError),
        ("23000", "duplicate key (2601) (SQLExecDirectW)", Trouble.CONFLICT, PondctlError),
        ("23000", "REFERENCE constraint (547) (SQLExecDirectW)", Trouble.VALUE, SchemaError),
        ("23000", "Cannot insert NULL (515) (SQLExecDirectW)", Trouble.VALUE, SchemaError),
        ("42000", "would be truncated (2628) (SQLExecDirectW)", Trouble.VALUE, SchemaError),
        ("22001", "String data, right truncation (0) (SQLExecute)", Trouble.VALUE, SchemaError),
        ("42000", "is not currently available (40613)", Trouble.BUSY, DatabaseUnavailableError),
        ("42000", "Cannot open database. (4060) (SQLDriverConnect)", Trouble.LOGIN, AuthenticationError),
        ("01000", "Unexpected EOF from the server (20017)", Trouble.CONNECTION, DatabaseUnavailableError),
        (
            "08S01",
            "Unable to connect (20009) (SQLDriverConnect)",
            Trouble.CONNECTION,
            DatabaseUnavailableError,
        ),
        ("42000", "connection failed (20002); [28000] no (18456)", Trouble.LOGIN, AuthenticationError),
        ("HY000", "the session is in the kill state (596)", Trouble.CONNECTION, DatabaseUnavailableError),
        ("42000", "the trigger says no (50000) (SQLMoreResults)", Trouble.VALUE, SchemaError),
        ("42000", "The transaction ended in the trigger (3609)", Trouble.VALUE, SchemaError),
        ("42S01", "There is already an object (2714) (SQLExecDirectW)", Trouble.CONFLICT, PondctlError),
        ("HY000", "no such function (195) (SQLExecDirectW)", Trouble.OTHER, PondctlError),
        ("IM002", "Data source name not found (0) (SQLDriverConnect)", Trouble.DRIVER, ConfigurationError),
        ("01000", "Can't open lib 'x' : file not found (0)", Trouble.DRIVER, ConfigurationError),
    ],
)
def test_a_server_error_is_understood_by_number_and_state(
    state: str, words: str, trouble: Trouble, error: type[PondctlError]
) -> None:
    found = diagnose(odbc(state, MICROSOFT + words))

    assert found.trouble is trouble
    assert isinstance(found.as_error(), error)
    assert "secret" not in found.as_error().message


def test_a_certificate_that_is_not_trusted_comes_with_what_to_do() -> None:
    words = "SSL Provider: [error::certificate verify failed:self-signed certificate] (-1) (SQLDriverConnect)"

    found = diagnose(odbc("08001", f"[Microsoft][ODBC Driver 18 for SQL Server]{words}"))

    assert found.trouble is Trouble.CONNECTION
    assert "update-ca-certificates" in str(found.as_error().hint)


def test_a_number_inside_the_words_is_not_the_number_of_the_error() -> None:
    found = diagnose(odbc("22003", f"{MICROSOFT}value (1205) is too large (8115) (SQLExecDirectW)"))

    assert (found.trouble, found.number) == (Trouble.VALUE, 8115)


def test_who_speaks_otherwise_than_sql_server_while_connecting_is_not_the_server() -> None:
    words = "[HY000] [Microsoft]Protocol error in TDS stream (0) (SQLDriverConnect)"
    error = sa.exc.DBAPIError(None, None, Exception("HY000", words))

    assert is_connecting(error)
    assert diagnose(error).trouble is Trouble.CONNECTION
    assert not is_connecting(odbc("HY000", words))


@pytest.mark.parametrize(
    ("code", "words", "trouble"),
    [
        (sqlite3.SQLITE_BUSY, "database is locked", Trouble.BUSY),
        (517, "database is locked", Trouble.BUSY),
        (sqlite3.SQLITE_LOCKED, "table is locked", Trouble.BUSY),
        (sqlite3.SQLITE_FULL, "database or disk is full", Trouble.DISK_FULL),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "disk I/O error", Trouble.DISK_FULL),
        (sqlite3.SQLITE_IOERR_READ, "disk I/O error", Trouble.CONNECTION),
        (sqlite3.SQLITE_READONLY, "readonly", Trouble.PERMISSION),
        (sqlite3.SQLITE_CANTOPEN, "unable to open", Trouble.PERMISSION),
        (sqlite3.SQLITE_PERM, "permission", Trouble.PERMISSION),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, "UNIQUE", Trouble.CONFLICT),
        (sqlite3.SQLITE_CONSTRAINT_NOTNULL, "NOT NULL", Trouble.VALUE),
        (sqlite3.SQLITE_ERROR, "no such table: run", Trouble.SCHEMA),
        (sqlite3.SQLITE_ERROR, "no such column: x", Trouble.SCHEMA),
        (sqlite3.SQLITE_ERROR, "near SELEC: syntax error", Trouble.OTHER),
        (None, "no code at all", Trouble.OTHER),
    ],
)
def test_a_sqlite_error_is_understood_by_its_code(code: int | None, words: str, trouble: Trouble) -> None:
    original = sqlite3.OperationalError(words)
    if code is not None:
        original.sqlite_errorcode = code

    assert diagnose(wrapped(original)).trouble is trouble


def test_an_error_without_a_state_is_no_riddle() -> None:
    assert diagnose(wrapped(Exception())).trouble is Trouble.OTHER
    assert diagnose(wrapped(Exception("just words"))).trouble is Trouble.OTHER


def test_only_what_passes_by_itself_is_redone() -> None:
    assert {Trouble.BUSY, Trouble.CONFLICT, Trouble.CONNECTION, Trouble.TIMEOUT} == PASSING


def test_the_driver_hint_names_every_way_to_get_one() -> None:
    for way in ("mssql-python-odbc", "driver=", "Microsoft", "tdsodbc"):
        assert way in DRIVER_HINT
