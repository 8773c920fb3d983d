from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.mssql import pyodbc

from pondctl.db.host_tables import build_host_tables
from pondctl.errors import ConfigurationError


def in_t_sql(names: dict[str, str], column: str) -> str:
    row = build_host_tables(names).device_change
    return " ".join(str(sa.select(row["Id"], row[column]).compile(dialect=pyodbc.dialect())).split())


def test_names_are_those_of_the_contract_where_nothing_is_said() -> None:
    tables = build_host_tables({})

    assert [table.table.fullname for table in tables.required()] == [
        "BulkChange",
        "M2M_DeviceChange",
        "PondDeviceCarrierRatePlan",
        "DeviceBulkChangeLog",
    ]
    assert tables.device is None


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("DeviceChange", "[DeviceChange]"),
        ("dbo.DeviceChange", "dbo.[DeviceChange]"),
        ("otherdb.dbo.DeviceChange", "otherdb.dbo.[DeviceChange]"),
        ("dbo.[My Changes]", "dbo.[My Changes]"),
    ],
)
def test_a_table_may_be_in_another_schema_or_database(name: str, written: str) -> None:
    assert f"FROM {written}" in in_t_sql({"M2M_DeviceChange": name}, "ICCID")


def test_an_absent_column_reads_as_null_of_its_type() -> None:
    assert "CAST(NULL AS NVARCHAR(500))" in in_t_sql({"M2M_DeviceChange.StatusDetails": ""}, "StatusDetails")


def test_a_request_may_come_from_a_view_by_the_rows_id() -> None:
    sql = in_t_sql({"M2M_DeviceChange.ChangeRequest": "dbo.vRequest.Json"}, "ChangeRequest")

    assert "FROM dbo.[vRequest] WHERE [M2M_DeviceChange].[Id] = dbo.[vRequest].[Id])" in sql


@pytest.mark.parametrize(
    "names",
    [
        {"NoSuchTable": "x"},
        {"BulkChange.NoSuchColumn": "x"},
        {"BulkChange": ""},
        {"BulkChange": "a..b["},
        {"M2M_DeviceChange.MSISDN": ""},
        {"M2M_DeviceChange.MSISDN": "dbo.view.MSISDN"},
    ],
)
def test_a_name_that_cannot_be_meant_is_refused(names: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.names"):
        build_host_tables(names)
