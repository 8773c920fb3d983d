"""What a driver's error means: by number and SQLSTATE; texts change with version and language."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from enum import Enum, auto

import sqlalchemy as sa

from pondctl.errors import (
    AuthenticationError,
    ConfigurationError,
    DatabaseUnavailableError,
    PermissionDeniedError,
    PondctlError,
    SchemaError,
)

DRIVER_HINT = (
    "`pip install mssql-python-odbc` brings Microsoft's driver, found by itself; its library can also be "
    "named in driver=. Else Microsoft's own packages (ODBC Driver 18 for SQL Server), "
    "or `apt-get install tdsodbc` and driver=FreeTDS"
)


_CERTIFICATE_HINT = (
    "this machine has to know who issued the server's certificate (`update-ca-certificates`); "
    "HostNameInCertificate= in `database.url` says where it is made out for another name"
)


class IntegrityConflictError(PondctlError):
    """Two units wrote the same unique value; the unit is redone and then sees the other's row."""

    code = "conflict"


class Trouble(Enum):
    """What to do about an error."""

    BUSY = auto()
    CONFLICT = auto()
    CONNECTION = auto()
    TIMEOUT = auto()
    LOGIN = auto()
    PERMISSION = auto()
    SCHEMA = auto()
    VALUE = auto()
    DISK_FULL = auto()
    DAMAGED = auto()
    NO_TEXT = auto()
    DRIVER = auto()
    OTHER = auto()


# After these the same unit can succeed; nothing of it was kept.
PASSING = frozenset({Trouble.BUSY, Trouble.CONFLICT, Trouble.CONNECTION, Trouble.TIMEOUT})

# pyodbc gives the native number only inside the text: "[state] words (number) (function)".
_NATIVE = re.compile(r"\((-?[0-9]+)\)(?= \(SQL|; \[|\Z)")
_BY_NUMBER = {
    **dict.fromkeys((701, 1204, 1205, 1222, 3960, 3935, 8645, 41302, 41305, 41325), Trouble.BUSY),
    # What a hosted server says while it is moved or is given too much.
    **dict.fromkeys((10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920), Trouble.BUSY),
    # The server stops, starts or moves; the session was ended.
    **dict.fromkeys((596, 927, 952, 976, 983, 6002, 6005, 17142, 17188, 18401), Trouble.CONNECTION),
    # A table that somebody else has made in this very moment is a conflict too.
    **dict.fromkeys((2627, 2601, 2714), Trouble.CONFLICT),
    **dict.fromkeys((18456, 18452, 18470, 18487, 18488, 4060, 4064, 17892), Trouble.LOGIN),
    **dict.fromkeys((229, 230, 262, 297, 300, 916, 1088, 2760, 3906, 15247), Trouble.PERMISSION),
    **dict.fromkeys((207, 208, 2812), Trouble.SCHEMA),
    # 271, 4405, 4406: a computed column, a view that takes no rows; 3609, 3616: a trigger gave up.
    **dict.fromkeys((206, 245, 257, 271, 515, 544, 547, 550, 1934), Trouble.VALUE),
    **dict.fromkeys((2628, 3609, 3616, 4405, 4406, 8114, 8115, 8152), Trouble.VALUE),
    **dict.fromkeys((1101, 1105, 9002), Trouble.DISK_FULL),
}
# What FreeTDS itself says; beside it there may be the server's own word, and that counts.
_BY_FREETDS = {
    20003: Trouble.TIMEOUT,
    **dict.fromkeys((20002, 20004, 20006, 20009, 20013, 20017, 20047), Trouble.CONNECTION),
}
# The numbers that a trigger of the host's may give its own errors; above are those of other servers.
_OF_A_TRIGGER = range(50000, 1_000_000)
_BY_STATE = {
    "40001": Trouble.BUSY,
    "HYT00": Trouble.TIMEOUT,
    "HYT01": Trouble.TIMEOUT,
    "22001": Trouble.VALUE,
    "22003": Trouble.VALUE,
    "28000": Trouble.LOGIN,
    "42S02": Trouble.SCHEMA,
    "42S22": Trouble.SCHEMA,
    **dict.fromkeys(("IM002", "IM003", "IM004", "IM005", "01000"), Trouble.DRIVER),
}
# Primary codes; SQLite keeps the finer meaning in the bits above.
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_BUSY: Trouble.BUSY,
    sqlite3.SQLITE_LOCKED: Trouble.BUSY,
    sqlite3.SQLITE_FULL: Trouble.DISK_FULL,
    sqlite3.SQLITE_READONLY: Trouble.PERMISSION,
    sqlite3.SQLITE_CANTOPEN: Trouble.PERMISSION,
    sqlite3.SQLITE_PERM: Trouble.PERMISSION,
    sqlite3.SQLITE_AUTH: Trouble.PERMISSION,
    sqlite3.SQLITE_IOERR: Trouble.CONNECTION,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
}
# What SQLite says of a full disk when it has not even begun to write: no room for the file beside its own.
_SQLITE_NO_ROOM = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)
# Kept to what a host's own table can refuse.
_SQLITE_VALUE = (
    sqlite3.SQLITE_CONSTRAINT_NOTNULL,
    sqlite3.SQLITE_CONSTRAINT_CHECK,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
)
_SQLITE_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """An error, understood. `number` is the server's own, or SQLite's code."""

    trouble: Trouble
    number: int | None
    state: str | None
    words: str

    def as_error(self) -> PondctlError:
        """The error that ends the run."""
        what = f" ({self.number or self.state})" if self.number or self.state else ""
        kind, message, hint = _ERRORS.get(
            self.trouble, (PondctlError, "the database refused a statement", None)
        )
        if self.trouble is Trouble.CONNECTION and "certificate" in self.words.lower():
            hint = _CERTIFICATE_HINT
        return kind(f"{message}{what}: {self.words}", hint=hint)


def diagnose(error: sa.exc.DBAPIError) -> Diagnosis:
    """Understand an error that SQLAlchemy wrapped."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _diagnose_sqlite(original)
    arguments = original.args if original is not None else ()
    state = str(arguments[0]) if arguments and re.fullmatch("[0-9A-Z]{5}", str(arguments[0])) else None
    words = str(arguments[-1]) if arguments else "no words given"
    numbers = [int(number) for number in _NATIVE.findall(words)]
    for meaning in (_BY_NUMBER, _BY_FREETDS):
        known = next((number for number in numbers if number in meaning), None)
        if known is not None:
            return Diagnosis(meaning[known], known, state, words)
    trouble = Trouble.VALUE if any(n in _OF_A_TRIGGER for n in numbers) else _by_state(state)
    if trouble is Trouble.OTHER and state is not None and is_connecting(error):
        # Whoever listens there does not speak as SQL Server does.
        trouble = Trouble.CONNECTION
    return Diagnosis(trouble, numbers[0] if numbers else None, state, words)


def is_connecting(error: BaseException) -> bool:
    """Whether a statement had not even been sent."""
    return isinstance(error, sa.exc.DBAPIError) and error.statement is None


def _by_state(state: str | None) -> Trouble:
    if state is None:
        return Trouble.OTHER
    if state.startswith("08"):
        return Trouble.CONNECTION
    return _BY_STATE.get(state, Trouble.OTHER)


def _diagnose_sqlite(original: sqlite3.Error) -> Diagnosis:
    code: int | None = getattr(original, "sqlite_errorcode", None)
    words = str(original)
    if code is None:
        no_text = words.startswith("Could not decode to UTF-8")
        return Diagnosis(Trouble.NO_TEXT if no_text else Trouble.OTHER, None, None, words)
    if code in _SQLITE_VALUE:
        return Diagnosis(Trouble.VALUE, code, None, words)
    if code in _SQLITE_UNIQUE:
        return Diagnosis(Trouble.CONFLICT, code, None, words)
    if code in _SQLITE_NO_ROOM:
        return Diagnosis(Trouble.DISK_FULL, code, None, words)
    # SQLite has one code for all that is wrong with a statement; only its words tell a missing table.
    if code == sqlite3.SQLITE_ERROR and words.startswith(("no such table", "no such column", "table ")):
        return Diagnosis(Trouble.SCHEMA, code, None, words)
    return Diagnosis(_BY_SQLITE_CODE.get(code & 0xFF, Trouble.OTHER), code, None, words)


_ERRORS: dict[Trouble, tuple[type[PondctlError], str, str | None]] = {
    Trouble.BUSY: (DatabaseUnavailableError, "the database stayed busy", "run the same command again"),
    Trouble.CONFLICT: (IntegrityConflictError, "a unique value was written twice", None),
    Trouble.CONNECTION: (
        DatabaseUnavailableError,
        "the database cannot be reached",
        "is the server up, and `database.url` right? Then run the same command again",
    ),
    Trouble.TIMEOUT: (
        DatabaseUnavailableError,
        "the database did not answer in time",
        "is the server up, and `database.url` right? Then run the same command again",
    ),
    Trouble.LOGIN: (
        AuthenticationError,
        "the database refused the login",
        "check the user, the password and the database's name in `database.url`",
    ),
    Trouble.PERMISSION: (
        PermissionDeniedError,
        "the database login lacks a right",
        "`pondctl db check` says which; `pondctl db grants` prints a script for a DBA",
    ),
    Trouble.SCHEMA: (
        SchemaError,
        "a table or column is missing",
        "`pondctl db check` compares; `database.names` says what is called differently here",
    ),
    Trouble.VALUE: (
        SchemaError,
        "a table does not take a row as pondctl writes it",
        "a constraint, a trigger or a shorter column of the host's is in the way: "
        '`pondctl db check` compares; a column mapped to "" in `database.names` is left out',
    ),
    Trouble.DISK_FULL: (
        DatabaseUnavailableError,
        "the database, or the disk that it lies on, is full",
        "make room, then run it again",
    ),
    Trouble.DAMAGED: (
        SchemaError,
        "the file of `database.url` is no sound database",
        "is the path right? A damaged file comes back from a backup",
    ),
    Trouble.NO_TEXT: (
        SchemaError,
        "the database holds a text that is none",
        "mend it, or put it back from a backup",
    ),
    Trouble.DRIVER: (ConfigurationError, "the database driver cannot be loaded", DRIVER_HINT),
}
