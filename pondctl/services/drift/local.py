"""What is wrong with a row by itself, whatever the carriers say. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pondctl.db.compared_rows import ComparedRow
from pondctl.models import BulkStatus, Carrier, normalize_iccid
from pondctl.services.drift.kinds import Drift, Kind
from pondctl.services.lifecycle.rows import operation_of
from pondctl.services.syncing.judge import BadRequestError, target_of

_KNOWN: Final = frozenset(map(str, BulkStatus))
_DONE: Final = frozenset({"PROCESSED"})
_FAILED: Final = frozenset({"API_FAILED", "ERROR"})
_UNDONE: Final = frozenset({"NEW", "PENDING", "PROCESSING"})


def judge_row_alone(row: ComparedRow, carrier: Carrier | None) -> Iterator[Drift]:
    """Broken references, combinations that cannot be, and what no rule explains."""
    if row.service_provider_id is None:
        here = f"row {row.id}: bulk change {row.bulk_change_id} does not exist"
        yield Drift(Kind.BROKEN_REFERENCE, row.iccid, row.bulk_change_id, here=here)
        return
    impossible = [*_contradictions(row)]
    if impossible:
        here = f"row {row.id}: {'; '.join(impossible)}"
        yield Drift(Kind.IMPOSSIBLE_ROW, row.iccid, row.bulk_change_id, here=here)
    unexplained = [*_riddles(row, carrier)]
    if unexplained:
        here = f"row {row.id}: {'; '.join(unexplained)}"
        yield Drift(Kind.UNEXPLAINED_ROW, row.iccid, row.bulk_change_id, here=here)


def _contradictions(row: ComparedRow) -> Iterator[str]:
    status = (row.status or "").upper()
    if row.msisdn and (row.has_errors or status == BulkStatus.API_FAILED):
        yield "MSISDN is set, and the row failed"
    if row.msisdn is not None and not row.msisdn.strip():
        yield "MSISDN is empty text"
    if row.is_processed:
        yield from _settled_contradictions(row, status)
    elif status in _DONE | _FAILED:
        yield f"IsProcessed = 0 and {row.status}"
    elif row.has_errors:
        yield "IsProcessed = 0 and HasErrors = 1"


def _settled_contradictions(row: ComparedRow, status: str) -> Iterator[str]:
    if row.has_errors is None:
        yield "HasErrors is NULL although IsProcessed = 1"
    if status in _UNDONE:
        yield f"IsProcessed = 1 and {row.status}"
    elif row.has_errors and status in _DONE:
        yield f"HasErrors = 1 and {row.status}"
    elif row.has_errors is False and status in _FAILED:
        yield f"HasErrors = 0 and {row.status}"


def _riddles(row: ComparedRow, carrier: Carrier | None) -> Iterator[str]:
    if (row.status or "").upper() not in _KNOWN:
        yield "Status is empty" if not row.status else f"Status {row.status[:50]!r} is no word of the host's"
    if not row.has_errors and normalize_iccid(row.iccid) is None:
        yield "it names no device"
    if not row.is_processed and not _is_readable(row.change_request, carrier):
        yield "nobody can tell what its ChangeRequest asks for"


def _is_readable(change_request: str | None, carrier: Carrier | None) -> bool:
    if carrier is Carrier.POND:
        return operation_of(change_request) is not None
    try:
        target_of(change_request)
    except BadRequestError:
        return False
    return True
