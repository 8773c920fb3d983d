"""A database for each test: SQLite files, or the server that PONDCTL_TEST_DATABASE_URL names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.host_tables import contract_columns
from pondctl.db.records import NewBulkChange, NewDeviceChange
from pondctl.db.unit import Unit
from pondctl.models import DeviceChange
from tests.world import make_tables, turn

SERVER_URL = os.environ.get("PONDCTL_TEST_DATABASE_URL", "")

GivenBulkChange = Callable[..., int]
RowsOf = Callable[[int], list[DeviceChange]]


@pytest.fixture
def sqlite_url(made_file: Path, tmp_path: Path) -> str:
    """A fresh SQLite database of this test; nobody waits long for a lock."""
    path = tmp_path / "test.db"
    shutil.copyfile(made_file, path)
    return f"sqlite:///{path}?timeout=0.1"


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database with all tables."""
    if not SERVER_URL:
        url = request.getfixturevalue("sqlite_url")
        opened = Database.open(url.replace("timeout=0.1", "timeout=30"))
        yield opened
        opened.close()
        return
    with turn():
        opened = Database.open(SERVER_URL)
        make_tables(opened)
        yield opened
        opened.close()


@pytest.fixture
def given(database: Database) -> GivenBulkChange:
    """Make a bulk change with a row for each ICCID; columns can be set on all of its rows."""

    def make(*iccids: str | None, provider: int = 2, request: str | None = None, **columns: object) -> int:
        def write(unit: Unit) -> int:
            bulk_change_id = unit.bulk_changes.add(NewBulkChange(provider, "StatusUpdate", "somebody"))
            rows = [NewDeviceChange(iccid, request) for iccid in iccids]
            unit.device_changes.add(bulk_change_id, rows, created_by="somebody")
            if columns:
                row = unit.host_tables.device_change
                update = sa.update(row.table).where(row["BulkChangeId"] == bulk_change_id)
                unit.host.execute(update.values(columns))
            return bulk_change_id

        return database.write(write)

    return make


@pytest.fixture
def rows_of(database: Database) -> RowsOf:
    """All rows of a bulk change."""
    return lambda bulk_change_id: database.read(
        lambda unit: unit.device_changes.page(bulk_change_id, 0, 1000)
    )


@pytest.fixture
def set_columns(database: Database) -> Callable[..., None]:
    """Change columns of rows behind pondctl's back."""

    def change(ids: Sequence[int], **columns: object) -> None:
        row = database.host_tables.device_change
        update = sa.update(row.table).where(row["Id"].in_(ids)).values(columns)
        database.write(lambda unit: unit.host.execute(update).close())

    return change


@pytest.fixture
def raw_row(database: Database) -> Callable[[int], dict[str, object]]:
    """Every column of one row of `M2M_DeviceChange`."""

    def read(row_id: int) -> dict[str, object]:
        row = database.host_tables.device_change
        columns = [row[name].label(name) for name in contract_columns("M2M_DeviceChange")]
        query = sa.select(*columns).where(row["Id"] == row_id)
        return database.read(lambda unit: unit.host.execute(query).one()._asdict())

    return read
