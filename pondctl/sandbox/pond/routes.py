"""POND's paths in both shapes: "devices" and "sim"."""

from __future__ import annotations

from pondctl.sandbox.pond.api import PondApi
from pondctl.sandbox.routes import Route


def pond_routes(api: PondApi, prefix: str) -> list[Route]:
    """All endpoints of the simulated POND."""
    return [*_device_shape(api, f"{prefix}/{{distributor}}"), *_sim_shape(api, f"{prefix}/{{distributor}}")]


def _device_shape(api: PondApi, base: str) -> list[Route]:
    device = f"{base}/devices/{{iccid}}"
    packages, check = f"{device}/packages", api.check
    return [
        Route("pond.get_device", "GET", device, check, api.get_device),
        Route("pond.set_sim_status", "PUT", f"{device}/status", check, api.set_sim_status),
        Route("pond.list_packages", "GET", packages, check, api.list_packages),
        Route("pond.add_package", "POST", packages, check, api.add_package),
        Route(_status_endpoint, "PUT", f"{packages}/{{package_id}}/status", check, api.set_package_status),
    ]


def _sim_shape(api: PondApi, base: str) -> list[Route]:
    sim, package = f"{base}/sim/{{iccid}}", f"{base}/package/{{package_id}}"
    check = api.check
    return [
        Route("pond.get_sim", "GET", sim, check, api.get_sim),
        Route("pond.get_sim", "GET", f"{sim}/info", check, api.get_sim),
        Route("pond.get_sim_status", "GET", f"{sim}/status", check, api.get_sim_status),
        Route("pond.set_sim_status", "POST", f"{sim}/status", check, api.set_sim_status),
        Route("pond.list_packages", "GET", f"{sim}/package/infos", check, api.list_packages),
        Route("pond.add_package", "POST", f"{sim}/addPackage", check, api.add_package),
        Route("pond.get_package", "GET", f"{package}/info", check, api.get_package),
        Route(_status_endpoint, "POST", f"{package}/status", check, api.set_package_status),
    ]


def _status_endpoint(body: bytes) -> str:
    if b'"TERMINATED"' in body:
        return "pond.package_terminated"
    return "pond.package_active" if b'"ACTIVE"' in body else "pond.package_status"
