"""Which rows of a bulk change are work, as conditions in SQL."""

from __future__ import annotations

from functools import reduce

import sqlalchemy as sa

from pondctl.db.dialects import text
from pondctl.db.host_tables import HostTable

# What people and SIM storage put between and behind the digits of an ICCID.
_FILLERS = (" ", "\t", "\u00a0", "-", "F", "f")


def is_work(row: HostTable, bulk_change_id: int | sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """A row without a number that did not fail, or one with a number that is not settled."""
    no_error = sa.or_(row["HasErrors"].is_(None), row["HasErrors"] == sa.false())
    lacks_number = sa.and_(row["MSISDN"].is_(None), sa.or_(row["IsProcessed"] == sa.false(), no_error))
    unsettled = sa.and_(row["IsProcessed"] == sa.false(), row["MSISDN"].is_not(None))
    return sa.and_(row["BulkChangeId"] == bulk_change_id, row.alive(), sa.or_(lacks_number, unsettled))


def lacks_number(row: HostTable) -> sa.ColumnElement[bool]:
    """A row without a number. Where the carrier had none, the host may have written an empty text."""
    return sa.or_(row["MSISDN"].is_(None), row["MSISDN"] == text(""))


def is_unsettled(row: HostTable) -> sa.ColumnElement[bool]:
    """A row that needs further work in the host's eyes."""
    return sa.and_(row["IsProcessed"] == sa.false(), row.alive())


def is_failed(row: HostTable) -> sa.ColumnElement[bool]:
    """A row that is settled with an error."""
    return sa.and_(row["IsProcessed"] == sa.true(), row["HasErrors"] == sa.true(), row.alive())


def bare_iccid(row: HostTable) -> sa.ColumnElement[str]:
    """The ICCID without fillers, so that two spellings of one device compare equal."""
    column: sa.ColumnElement[str] = row["ICCID"]
    return reduce(lambda bare, filler: sa.func.replace(bare, text(filler), text("")), _FILLERS, column)
