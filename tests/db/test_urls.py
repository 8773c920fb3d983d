from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine.interfaces import BindTyping

from pondctl.db import urls
from pondctl.db.database import Database
from pondctl.db.engine import build_engine
from pondctl.db.schema import init_database
from pondctl.db.urls import read_url
from pondctl.errors import ConfigurationError, PermissionDeniedError


def _loads(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


DRIVER = urls.bundled_driver() if _loads("pyodbc") else None
needs_driver = pytest.mark.skipif(DRIVER is None, reason="mssql-python-odbc or libodbc is not installed")
needs_pyodbc = pytest.mark.skipif(not _loads("pyodbc"), reason="libodbc is not installed")


@pytest.mark.parametrize(
    "url",
    [
        "no url at all, hunter2",
        "postgresql://ann:hunter2@db/x",
        "mssql+pymssql://ann:hunter2@db/x",
        "://hunter2",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_url(url)

    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        read_url(url)


def test_a_sqlite_url_is_a_file(tmp_path: Path) -> None:
    address = read_url(f"sqlite:///{tmp_path}/a.db")

    assert address.file == tmp_path / "a.db"
    assert address.is_sqlite


@pytest.mark.parametrize("options", ["mode=ro", "mode=ro&uri=true", "immutable=1"])
def test_a_file_that_is_to_be_read_only_is_never_written_to(tmp_path: Path, options: str) -> None:
    file = tmp_path / "a b.db"
    url = f"sqlite:///{tmp_path}/a b.db?{options}"
    with pytest.raises(ConfigurationError, match="does not exist"):
        Database.open(url).read(lambda unit: unit.now())
    with pytest.raises(ConfigurationError, match="read only"):
        init_database(Database.open(url))
    assert list(tmp_path.iterdir()) == []

    made = Database.open(f"sqlite:///{file}")
    init_database(made)
    made.close()
    before = file.read_bytes()
    database = Database.open(url)

    assert database.host_address.file == file
    assert database.read(lambda unit: unit.meta.get("a")) is None
    with pytest.raises(PermissionDeniedError):
        database.write(lambda unit: unit.meta.set("a", "1"))
    database.close()
    assert file.read_bytes() == before
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"a b.db"}


@needs_driver
def test_microsofts_driver_is_found_in_the_wheel_and_encrypts() -> None:
    address = read_url("mssql://ann:hunter2@db.example/host")

    assert address.url.drivername == "mssql+pyodbc"
    assert address.url.query["driver"] == DRIVER
    assert address.url.query["Encrypt"] == "yes"
    assert address.shown == "mssql+pyodbc://ann:***@db.example/host"


@needs_driver
def test_a_url_that_says_otherwise_is_obeyed() -> None:
    address = read_url("mssql+pyodbc://ann@127.0.0.1/host?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=no")

    assert address.url.query["Encrypt"] == "no"


@needs_driver
def test_the_quirks_follow_the_driver(tmp_path: Path) -> None:
    library = tmp_path / "libtdsodbc.so"
    library.touch()

    microsoft = build_engine(read_url("mssql://ann@db.example/host")).dialect
    freetds_address = read_url(f"mssql+pyodbc://ann@127.0.0.1/host?driver={library};TDS_Version=7.4")
    freetds = build_engine(freetds_address).dialect

    assert microsoft.fast_executemany
    assert microsoft.bind_typing is BindTyping.SETINPUTSIZES
    assert not freetds.fast_executemany, "it crashes the interpreter"
    assert freetds.bind_typing is not BindTyping.SETINPUTSIZES
    assert freetds.ignore_no_transaction_on_rollback
    assert freetds_address.url.query["TDS_Version"] == "7.4"
    assert "Encryption" not in freetds_address.url.query


@needs_pyodbc
def test_freetds_encrypts_on_the_way_to_another_host(tmp_path: Path) -> None:
    library = tmp_path / "libtdsodbc.so"
    library.touch()

    address = read_url(f"mssql+pyodbc://ann@db.example/host?driver={library}")

    assert address.url.query["Encryption"] == "require"


@needs_pyodbc
def test_a_missing_driver_is_named_with_how_to_get_it() -> None:
    with pytest.raises(ConfigurationError, match="No Such Driver") as caught:
        Database.open("mssql+pyodbc://ann:hunter2@db.example/host?driver=No Such Driver")

    assert "mssql-python-odbc" in (caught.value.hint or "")
    assert "hunter2" not in caught.value.message


@needs_pyodbc
def test_a_data_source_brings_its_own_driver() -> None:
    assert "driver" not in read_url("mssql+pyodbc://ann:hunter2@source").url.query


@needs_pyodbc
def test_a_whole_connection_string_is_left_as_it_is() -> None:
    address = read_url("mssql+pyodbc://?odbc_connect=DRIVER%3D%7BFreeTDS%7D%3BSERVER%3Ddb")

    assert address.freetds


def test_a_state_url_equal_to_the_host_is_one_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"

    assert Database.open(url, state_url=url).is_one
    assert not Database.open(url, state_url=f"sqlite:///{tmp_path}/b.db").is_one


def test_a_pyodbc_that_does_not_load_is_told_with_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)

    with pytest.raises(ConfigurationError, match="pyodbc cannot be loaded") as caught:
        read_url("mssql://ann:hunter2@db.example/host")

    assert "unixodbc" in (caught.value.hint or "")
