"""Which bulk changes pondctl made itself, for which operation and why: kept in its own table, where no
text of the host can claim it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pondctl.db.unit import Unit
from pondctl.models import BulkChange, Operation

_NAME = "bulk_create:"


@dataclass(frozen=True, slots=True)
class Origin:
    """How a bulk change came about; `run_id` is the run that made it."""

    operation: Operation
    run_id: str
    actor: str
    reason: str | None = None

    @property
    def created_by(self) -> str:
        """What the header's `CreatedBy` says; it names the run: header and record prove each other."""
        return f"pondctl {self.run_id} {self.actor}"[:100]


def record_origin(unit: Unit, bulk_change_id: int, origin: Origin) -> bool:
    """Keep it, in the transaction that makes the bulk change; False where just that is kept already."""
    name, text = f"{_NAME}{bulk_change_id}", json.dumps(asdict(origin))
    if unit.meta.get(name) == text:
        return False
    unit.meta.set(name, text)
    return True


def origin_of(unit: Unit, bulk_change: BulkChange) -> Origin | None:
    """How `bulk create` made this very bulk change; None where somebody else made it."""
    kept = unit.meta.get(f"{_NAME}{bulk_change.id}")
    if kept is None:
        return None
    fields = json.loads(kept)
    origin = Origin(**{**fields, "operation": Operation(fields["operation"])})
    # A host that keeps no CreatedBy shows none: then the record alone has to do.
    same = bulk_change.created_by is None or bulk_change.created_by == origin.created_by
    return origin if same else None


def may_be_terminated(unit: Unit, bulk_change: BulkChange) -> bool:
    """Whether a worker may terminate what it names: a person asked for just that, with a reason."""
    origin = origin_of(unit, bulk_change)
    return origin is not None and origin.operation is Operation.TERMINATE and bool(origin.reason)
