"""Reads `database.url`: which database, which driver, and that the way there is encrypted."""

from __future__ import annotations

import importlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import sqlalchemy as sa

from pondctl.db.driver_errors import DRIVER_HINT
from pondctl.errors import ConfigurationError

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1", ".", "(local)")
_PYODBC: Final = "mssql+pyodbc"
_MICROSOFT: Final = "ODBC Driver 18 for SQL Server"
# What SQLite takes of a file in the form of a URI only.
_URI_OPTIONS: Final = frozenset({"mode", "immutable"})


@dataclass(frozen=True, slots=True)
class Address:
    """A database to connect to. The URL holds the password: it is shown as `shown` only."""

    url: sa.URL
    freetds: bool = False

    @property
    def shown(self) -> str:
        """The URL for people, without password and without options."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a local SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file."""
        name = self.url.database
        if not self.is_sqlite or not name:
            return None
        return Path(unquote(name.removeprefix("file:")) if name.startswith("file:") else name)

    @property
    def is_nearby(self) -> bool:
        """Whether the server is named as one of this very machine."""
        return _is_loopback(self.url)

    @property
    def is_read_only(self) -> bool:
        """Whether the URL itself forbids to write."""
        return self.is_sqlite and (self.url.query.get("mode") == "ro" or "immutable" in self.url.query)


def read_url(text: str) -> Address:
    """Complete a URL from the settings; raises `ConfigurationError`, which never repeats the URL."""
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # The parser's own message repeats the text, and with it the password.
        raise ConfigurationError(
            "database.url is no database URL",
            hint="write sqlite:////folder/file.db or mssql+pyodbc://user:password@host/database; "
            "special characters in the password are written in percent form",
        ) from None
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    if url.drivername == "mssql":
        url = url.set(drivername=_PYODBC)
    if url.drivername == "mssql+mssqlpython":
        return Address(_encrypted(url, freetds=False))
    if url.drivername != _PYODBC:
        raise ConfigurationError(
            f"database.url: {url.drivername} is not supported", hint="use sqlite or mssql+pyodbc"
        )
    return _pyodbc(url)


def _sqlite(url: sa.URL) -> Address:
    in_memory = url.database == ":memory:" or url.query.get("mode") == "memory"
    if not url.database or in_memory or url.database.startswith("file:"):
        raise ConfigurationError(
            "database.url names no file",
            hint="a database in memory is seen by one connection only: write sqlite:////folder/file.db",
        )
    url = url.set(drivername="sqlite+pysqlite")
    if _URI_OPTIONS & url.query.keys():
        # Else they would become a part of the file's name, or be passed over.
        name = f"file:{quote(str(Path(url.database or '').absolute()))}"
        url = url.set(database=name).update_query_dict({"uri": "true"})
    return Address(url)


def _pyodbc(url: sa.URL) -> Address:
    drivers = _installed_drivers()
    if "odbc_connect" in url.query:
        connect = str(url.query["odbc_connect"])
        return Address(url, freetds=_is_freetds(connect))
    # driver=FreeTDS;TDS_Version=7.4 is how a connection string goes on; here each is an option.
    driver, *more = str(url.query.get("driver", "")).split(";")
    options = dict(part.split("=", 1) for part in more if "=" in part)
    by_data_source = not driver and not url.database
    if by_data_source:
        return Address(url)
    driver = _find_driver(driver, drivers)
    url = url.update_query_dict({"driver": driver, **options})
    freetds = _is_freetds(driver)
    return Address(_encrypted(url, freetds=freetds), freetds=freetds)


def _encrypted(url: sa.URL, *, freetds: bool) -> sa.URL:
    """Ask for encryption where the URL does not say otherwise."""
    option = "Encryption" if freetds else "Encrypt"
    said = any(key.lower() in ("encrypt", "encryption") for key in url.query)
    if said or (freetds and _is_loopback(url)):
        return url
    return url.update_query_dict({option: "require" if freetds else "yes"})


def _is_loopback(url: sa.URL) -> bool:
    return (url.host or "").lower() in _LOOPBACK


def _is_freetds(driver: str) -> bool:
    return re.search("freetds|tdsodbc", driver, re.IGNORECASE) is not None


def _installed_drivers() -> list[str]:
    try:
        pyodbc = importlib.import_module("pyodbc")
    except ImportError as error:
        raise ConfigurationError(
            f"the Python package pyodbc cannot be loaded: {error}",
            hint="`pip install pyodbc`; where libodbc is missing: `apt-get install unixodbc`",
        ) from error
    return list(pyodbc.drivers())


def _find_driver(named: str, drivers: list[str]) -> str:
    """The ODBC driver to load: the one named, else Microsoft's wherever it is, else FreeTDS."""
    if not named:
        usual = (name for name in (_MICROSOFT, *sorted(drivers)) if name in drivers and "SQL" in name)
        found = next(usual, None) or bundled_driver() or ("FreeTDS" if "FreeTDS" in drivers else None)
        if found is None:
            raise ConfigurationError("no ODBC driver for SQL Server is installed", hint=DRIVER_HINT)
        return found
    if named in drivers or (("/" in named or "\\" in named) and Path(named).exists()):
        return named
    if named == _MICROSOFT and (bundled := bundled_driver()):
        return bundled
    raise ConfigurationError(f"the ODBC driver {named!r} is not installed", hint=DRIVER_HINT)


def bundled_driver() -> str | None:
    """The library of Microsoft's driver inside the PyPI wheel `mssql-python-odbc`, where installed."""
    try:
        wheel = importlib.import_module("mssql_python_odbc")
    except ImportError:
        return None
    return _pick_library(Path(wheel.get_libs_dir()))


def _pick_library(folder: Path) -> str | None:
    """The wheel holds one library for each family of systems; they differ in what they link to."""
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    found = [
        path
        for path in folder.rglob("*msodbcsql*18*")
        if path.suffix != ".rll" and path.is_file() and machine in map(str.lower, path.parts)
    ]
    family = {"debian": "debian_ubuntu", "ubuntu": "debian_ubuntu"}.get(_system_family(), _system_family())
    found.sort(key=lambda path: (family not in path.parts, "debian_ubuntu" not in path.parts, str(path)))
    return str(found[0]) if found else None


def _system_family() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system().lower()
    words = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()
    return next((word for word in words if word in ("debian", "ubuntu", "rhel", "suse", "alpine")), "")
