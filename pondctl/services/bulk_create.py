"""Make a bulk change of one's own: everything checked first, then one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from pondctl.db.batches import chunks
from pondctl.db.database import Database
from pondctl.db.records import ChangeLogEntry, NewBulkChange, NewDeviceChange
from pondctl.db.unit import Unit
from pondctl.errors import (
    PermissionDeniedError,
    PondctlError,
    SchemaError,
    UsageError,
    WrongCarrierError,
)
from pondctl.models import BulkStatus, Carrier, Operation, Stop
from pondctl.services._origin import Origin, record_origin
from pondctl.services.queueing.dispatch import Rules
from pondctl.services.queueing.enqueue import queue_check
from pondctl.services.queueing.outbox import Outbox
from pondctl.services.running.actor import Actor, raise_if_stopped
from pondctl.services.running.run import new_run_id, record_run
from pondctl.services.running.user import user_name
from pondctl.services.syncing.next_check import NextCheck
from pondctl.services.targets.targets import Target

_TYPE: Final = "StatusUpdate"
# The host's word for the target, and its id of the device status that goes with it (0: it decides).
_WORDS: Final[Mapping[Operation, tuple[str, int]]] = {
    Operation.ACTIVATE: ("Active", 0),
    Operation.RESUME: ("Active", 0),
    Operation.SUSPEND: ("Suspended", 0),
    Operation.TERMINATE: ("Terminated", 0),
    Operation.SYNC: ("active", 8),
}
_NAMES: Final = {Carrier.THINGSPACE: "ThingSpace", Carrier.POND: "POND"}


@dataclass(frozen=True, slots=True)
class NewBulk:
    """What is asked for."""

    operation: Operation
    service_provider_id: int
    package_type_id: int | None = None
    tenant_id: int | None = None
    reason: str | None = None
    enqueue: bool = False
    dry_run: bool = False

    @property
    def carrier(self) -> Carrier:
        """Whose devices they are."""
        return Carrier.THINGSPACE if self.operation is Operation.SYNC else Carrier.POND

    def change_request(self) -> str:
        """The host's `StatusUpdateRequest`, one for all rows; what is absent is left out."""
        word, status_id = _WORDS[self.operation]
        inner = {} if self.package_type_id is None else {"PackageTypeId": self.package_type_id}
        request: dict[str, Any] = {
            "IsIgnoreCurrentStatus": self.operation is Operation.SYNC,
            "UpdateStatus": word,
            "PostUpdateStatusId": status_id,
            "Request": inner,
        }
        return json.dumps(request, separators=(",", ":"))

    def command_for(self, bulk_change_id: int) -> str:
        """What brings it to its end by hand."""
        if self.operation is Operation.SYNC:
            return f"pondctl sync-bulk {bulk_change_id}"
        reason = " --reason TEXT" if self.operation is Operation.TERMINATE else ""
        return f"pondctl {self.operation} --bulk-change {bulk_change_id}{reason}"


@dataclass(frozen=True, slots=True)
class BulkCreate:
    """Everything `bulk create` works with. `outbox`: the way to SQS, None for the embedded queue."""

    database: Database
    actor: Actor
    rules: Rules
    queue_name: str
    max_terminations: int
    stop: Stop
    outbox: Outbox | None = None

    def check(self, new: NewBulk) -> None:
        """Raise what forbids it."""
        _check_options(new)
        self._check_provider(new)
        if not self.database.host_tables.device_change.has("ChangeRequest"):
            raise SchemaError(
                "M2M_DeviceChange.ChangeRequest cannot be written here: rows could not say what they ask",
                hint="make the bulk change in the host system; `database.names` has it as a view, or absent",
            )

    def check_size(self, new: NewBulk, devices: int) -> None:
        """Raise where a run over so many devices would be refused."""
        if new.operation is Operation.TERMINATE and devices > self.max_terminations:
            raise UsageError(
                f"{devices:,} devices are more than limits.max_terminations_per_run "
                f"({self.max_terminations:,}) allows",
                hint="nothing was written; divide the list, or raise the limit",
            )

    def run(self, new: NewBulk, targets: Sequence[Target]) -> Mapping[str, object]:
        """Make it, and say what was made. In a dry run: what would be."""
        run_id = new_run_id()
        shown = {
            "operation": str(new.operation),
            "service_provider_id": str(new.service_provider_id),
            "carrier": str(new.carrier),
            "devices": len(targets),
        }
        if new.dry_run:
            return {"id": None, "dry_run": True, **shown, "queued": False, "run_id": None, "next": None}
        arguments = {**shown, "package_type_id": new.package_type_id, "enqueue": new.enqueue}
        bulk_change_id = self._create(new, targets, run_id, arguments)
        after = None if new.enqueue else new.command_for(bulk_change_id)
        made = {"queued": new.enqueue, "run_id": run_id, "next": after}
        return {"id": str(bulk_change_id), "dry_run": False, **shown, **made}

    def send(self, bulk_change_id: int) -> None:
        """Bring the queued message to SQS; raises where it could not be sent, and waits in the outbox."""
        if self.outbox is not None:
            self.outbox.require_sent(bulk_change_id)

    def _create(
        self, new: NewBulk, targets: Sequence[Target], run_id: str, arguments: Mapping[str, object]
    ) -> int:
        origin = Origin(new.operation, run_id, user_name(), new.reason)
        attempts = count(1)

        def make(unit: Unit) -> int:
            # Redone: the commit before may have been done, and only its answer lost.
            again = next(attempts) > 1
            made = unit.bulk_changes.find_made_by(origin.created_by) if again else None
            return made if made is not None else self._write_rows(unit, new, targets, origin)

        def record(unit: Unit, bulk_change_id: int) -> int:
            if not record_origin(unit, bulk_change_id, origin):
                return bulk_change_id
            if new.enqueue:
                first = NextCheck(retry_number=0, delay_seconds=0, pending_since=unit.now(), stalled=0)
                queue_check(unit, self.queue_name, bulk_change_id, first, None)
            about = {**arguments, "bulk_change_id": bulk_change_id}
            record_run(unit, run_id=run_id, command="bulk create", actor=self.actor, arguments=about)
            return bulk_change_id

        if self.database.is_one:
            return self.database.write(lambda unit: record(unit, make(unit)))
        # Two databases: a message about a bulk change that is not there would become a dead letter.
        bulk_change_id = self.database.write(make)
        try:
            return self.database.write(lambda unit: record(unit, bulk_change_id))
        except PondctlError as error:
            error.hint = f"bulk change {bulk_change_id} is made, but nothing is queued for it"
            raise

    def _write_rows(self, unit: Unit, new: NewBulk, targets: Sequence[Target], origin: Origin) -> int:
        header = NewBulkChange(new.service_provider_id, _TYPE, origin.created_by, new.tenant_id)
        bulk_change_id = unit.bulk_changes.add(header)
        request = new.change_request()
        for chunk in chunks(targets):
            raise_if_stopped(self.stop, "nothing was written")
            rows = [NewDeviceChange(target.iccid, request) for target in chunk]
            unit.device_changes.add(bulk_change_id, rows, created_by=origin.created_by)
        said = f"pondctl bulk create: {new.operation} of {len(targets)} devices"
        entry = ChangeLogEntry(
            bulk_change_id=bulk_change_id,
            device_change_id=None,
            description=said,
            request_text=f"run {origin.run_id}",
            response_text=new.reason,
            response_status=BulkStatus.NEW,
        )
        unit.change_log.add([entry])
        return bulk_change_id

    def _check_provider(self, new: NewBulk) -> None:
        provider, allowed = new.service_provider_id, self.rules.allowed
        if allowed and provider not in allowed:
            raise PermissionDeniedError(
                f"service provider {provider} is not among access.service_provider_ids"
            )
        found = self.rules.carrier_of(provider)
        if found is new.carrier:
            return
        key = f"{new.carrier}.service_provider_ids"
        raise WrongCarrierError(
            f"{new.operation} is for {_NAMES[new.carrier]}, and service provider {provider} is "
            + (f"{_NAMES[found]}'s" if found else "no carrier's"),
            hint=f"{key} says which are; `pondctl config show` prints it",
        )


def _check_options(new: NewBulk) -> None:
    if new.operation is Operation.TERMINATE and not (new.reason or "").strip():
        raise UsageError("terminate needs a reason", hint='add --reason "why", it is kept on record')
    if new.operation is Operation.ACTIVATE and new.package_type_id is None:
        raise UsageError("activate needs a package type", hint="add --package-type ID")
    if new.operation is not Operation.ACTIVATE and new.package_type_id is not None:
        raise UsageError(f"--package-type is for activate; {new.operation} takes none")
