"""What may be started at all: checked as a whole, before a run exists and before any call."""

from __future__ import annotations

from collections.abc import Sequence

from pondctl.db.database import Database
from pondctl.errors import PermissionDeniedError, UsageError, WrongCarrierError
from pondctl.models import BulkChange, Operation
from pondctl.services.lifecycle.claiming import Providers
from pondctl.services.lifecycle.request import LifeLimits, LifeRequest
from pondctl.services.lifecycle.scope import BulkScope, NamedScope, Scope
from pondctl.services.targets.targets import Target


def find_scope(
    database: Database, request: LifeRequest, limits: LifeLimits, targets: Sequence[Target]
) -> Scope:
    """The devices of a request. Raises what forbids it: usage, permission, wrong carrier, not found."""
    if request.bulk_change_id is None:
        _check_named(request, targets)
        _check_provider(limits, request.service_provider_id)
        scope: Scope = NamedScope(targets, request.package_type_id)
    else:
        if targets:
            raise UsageError("name devices, or a bulk change with --bulk-change, not both")
        bulk_change_id = request.bulk_change_id
        bulk_change = database.read(lambda unit: unit.bulk_changes.get(bulk_change_id))
        _check_carrier(limits, bulk_change)
        _check_provider(limits, bulk_change.service_provider_id)
        scope = BulkScope(database, bulk_change_id, request)
    check_start(request, limits, scope)
    return scope


def check_start(request: LifeRequest, limits: LifeLimits, scope: Scope) -> None:
    """Whether a run over this scope may be started."""
    if not (limits.write_enabled or request.dry_run):
        raise PermissionDeniedError(
            "writing to POND is switched off", hint="pond.write_enabled = true switches it on"
        )
    if request.operation is not Operation.TERMINATE:
        return
    if not (request.reason or "").strip():
        raise UsageError("terminate needs a reason", hint='add --reason "why", it is kept on record')
    if request.package_id is not None and scope.total != 1:
        raise UsageError("--package names one package of one device", hint="name that one ICCID")
    if scope.wanted > limits.max_terminations and not request.dry_run:
        raise UsageError(
            f"{scope.wanted:,} devices are more than limits.max_terminations_per_run "
            f"({limits.max_terminations:,}) allows",
            hint="nothing was started; divide the list, or raise the limit",
        )


def providers_of(request: LifeRequest, limits: LifeLimits, bulk_change: BulkChange | None) -> Providers:
    """Whose row a device's packages get, and who may be touched."""
    given = bulk_change.service_provider_id if bulk_change else request.service_provider_id
    configured = limits.pond_providers or limits.allowed_providers
    fallback = configured[0] if len(configured) == 1 else 0
    return Providers(given, fallback, frozenset(limits.allowed_providers))


def _check_named(request: LifeRequest, targets: Sequence[Target]) -> None:
    if not targets:
        raise UsageError("no device is named", hint="give ICCIDs, --from FILE, or --bulk-change ID")
    if request.operation is Operation.ACTIVATE and request.package_type_id is None:
        raise UsageError("activate needs a package type", hint="add --package-type ID")


def _check_carrier(limits: LifeLimits, bulk_change: BulkChange) -> None:
    """POND's providers are those that are named; with none named, those that are not ThingSpace's."""
    provider = bulk_change.service_provider_id
    ours = (
        provider in limits.pond_providers if limits.pond_providers else provider not in limits.other_providers
    )
    if not ours:
        raise WrongCarrierError(
            f"bulk change {bulk_change.id} belongs to service provider {provider}, which is not POND's",
            hint="pond.service_provider_ids says which are; `pondctl config show` prints it",
        )


def _check_provider(limits: LifeLimits, service_provider_id: int | None) -> None:
    allowed = limits.allowed_providers
    if allowed and service_provider_id is not None and service_provider_id not in allowed:
        raise PermissionDeniedError(
            f"service provider {service_provider_id} is not among access.service_provider_ids"
        )
