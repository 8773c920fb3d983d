"""What the database says about one device now, and where it contradicts the carriers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pondctl.models import DeviceState, normalize_state
from pondctl.services.device_views.carriers_now import Side
from pondctl.services.device_views.timeline import Past


def database_facts(past: Past, host_row: Mapping[str, Any] | None) -> dict[str, object]:
    """Its rows, its packages, the host's own row where that table is mapped, and its lock."""
    facts: dict[str, object] = {
        "changes": [
            {
                "id": str(row["Id"]),
                "bulk_change_id": str(row["BulkChangeId"]),
                "bulk_change_status": row["HeaderStatus"],
                "service_provider_id": str(row["HeaderServiceProviderId"]),
                "status": row["Status"],
                "settled": bool(row["IsProcessed"]),
                "has_errors": bool(row["HasErrors"]),
                "msisdn": row["MSISDN"],
                "details": row["StatusDetails"],
                "created": row["CreatedDate"],
                "processed": row["ProcessedDate"],
                "seconds_to_active": _seconds_to_active(past, row["CreatedDate"]),
            }
            for row in past.changes
        ],
        "packages": [
            {
                "package_id": row["PackageId"],
                "package_type_id": str(row["PackageTypeId"]),
                "status": row["Status"],
                "service_provider_id": str(row["ServiceProviderId"]),
                "data_usage_remaining_in_bytes": row["DataUsageRemainingInBytes"],
                "last_modified": row["LastModified"] or row["CreatedDate"],
            }
            for row in past.packages
        ],
    }
    if host_row is not None:
        facts["device"] = {
            "id": str(host_row["id"]),
            "msisdn": host_row["MSISDN"],
            "status": host_row["Status"],
        }
    if past.lock is not None:
        lock = past.lock
        facts["lock"] = {"locked_by": lock.locked_by, "at": lock.locked_at, "reason": lock.reason}
    return facts


def _seconds_to_active(past: Past, asked: datetime | None) -> int | None:
    """From when it was asked for until a carrier was first seen to call the device active after that."""
    became = [
        seen.observed_at
        for seen in past.observations
        if _is_active(seen.state) and not _is_active(seen.previous) and asked and seen.observed_at >= asked
    ]
    return round((min(became) - asked).total_seconds()) if became and asked else None


def _is_active(state: str | None) -> bool:
    return (state or "").lower() == "active"


def differences(past: Past, thingspace: Side, pond: Side, is_thingspaces: Callable[[int], bool]) -> list[str]:
    """Where the database and a carrier say different things; `reconcile` knows what to do about it.

    `is_thingspaces` tells of a service provider whether its rows are to be held against ThingSpace.
    """
    rows = [row for row in past.changes if is_thingspaces(row["HeaderServiceProviderId"])]
    return [*_against_thingspace(rows, thingspace), *_against_pond(past, pond)]


def _against_thingspace(rows: Sequence[Mapping[str, Any]], side: Side) -> Iterator[str]:
    if side["status"] != "known" or not rows:
        return
    newest, number = rows[0], side["msisdn"]
    active = normalize_state(side["state"]) is DeviceState.ACTIVE
    where = f"in bulk change {newest['BulkChangeId']}"
    if active and number and newest["MSISDN"] and newest["MSISDN"] != number:
        yield f"MSISDN {newest['MSISDN']} {where}, {number} at ThingSpace"
    if active and number and not newest["MSISDN"]:
        yield f"no MSISDN {where}, {number} at ThingSpace"
    if newest["IsProcessed"] and not newest["HasErrors"] and newest["MSISDN"] and not active:
        yield f"settled without error {where}, {side['state'] or 'no state'} at ThingSpace"


def _against_pond(past: Past, side: Side) -> Iterator[str]:
    if side["status"] != "known":
        return
    there = {package["package_id"]: package for package in side["packages"]}
    here = {row["PackageId"]: row for row in reversed(past.packages)}
    for package_id, row in here.items():
        found = there.get(package_id)
        if found is None and row["Status"].upper() != "TERMINATED":
            yield f"package {package_id} is {row['Status']} in the database, and not at POND"
        elif found is not None and found["status"].upper() != row["Status"].upper():
            yield f"package {package_id} is {row['Status']} in the database, {found['status']} at POND"
    for package_id, package in there.items():
        if package_id not in here and package["status"].upper() != "TERMINATED":
            yield f"package {package_id} is {package['status']} at POND, and not in the database"
    active = [package_id for package_id, package in there.items() if package["status"].upper() == "ACTIVE"]
    if len(active) > 1:
        yield f"{len(active)} packages are ACTIVE at POND together: {', '.join(active)}"
