"""Verizon's own SDK, as a program: it reads devices and keeps nothing.

python -m tests.benchmarks.peer_sdk lookups DEVICES WORKERS
python -m tests.benchmarks.peer_sdk pages DEVICES
"""
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from verizon.configuration import Configuration
from verizon.http.auth.thingspace_oauth import ThingspaceOauthCredentials
from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
from verizon.models.account_device_list_request import AccountDeviceListRequest
from verizon.models.device_id import DeviceId
from verizon.models.log_in_request import LogInRequest
from verizon.verizon_client import VerizonClient

from pondctl.sandbox import SandboxConfig
from pondctl.sandbox.fleet import Fleet


def setting(name: str) -> str:
    """One of the variables that point at the carrier."""
    return os.environ[f"PONDCTL_THINGSPACE__{name}"]


class _Here(Configuration):  # type: ignore[misc]
    """The SDK knows Verizon's own addresses only."""

    def get_base_uri(self, server: Any = None) -> str:
        base = setting("BASE_URL")
        return f"{base}/ts/v1" if getattr(server, "name", "") == "OAUTH_SERVER" else base


def connected() -> Any:
    """A client that has logged in."""
    oauth = ThingspaceOauthCredentials(setting("CLIENT_ID"), setting("CLIENT_SECRET"))
    first = VerizonClient(config=_Here(thingspace_oauth_credentials=oauth))
    user = LogInRequest(username=setting("USERNAME"), password=setting("PASSWORD"))
    answer = first.session_management.start_connectivity_management_session(user)
    session = VZM2mTokenCredentials(answer.body.session_token)
    return VerizonClient(
        config=_Here(thingspace_oauth_credentials=oauth, vz_m2m_token_credentials=session)
    ).device_management


def look_up(devices: int, workers: int) -> int:
    """Every device by itself, in a pool of threads; the first alone, as it fetches the token."""
    client = connected()
    fleet = Fleet(SandboxConfig(devices=devices))

    def ask(place: int) -> bool:
        device_id = DeviceId(id=fleet.iccid(place), kind="iccid")
        answer = client.list_devices_information(AccountDeviceListRequest(device_id=device_id))
        return bool(answer.body.devices)

    found = ask(0)
    with ThreadPoolExecutor(workers) as pool:
        return found + sum(pool.map(ask, range(1, devices)))


def read_pages(devices: int) -> int:
    """Pages of the account until so many devices were seen."""
    client = connected()
    seen = cursor = 0
    while seen < devices:
        request = AccountDeviceListRequest(
            account_name=setting("ACCOUNT_NAME"), max_number_of_devices=2000, largest_device_id_seen=cursor
        )
        page = client.list_devices_information(request).body.devices
        cursor = next(int(item.value) for item in page[-1].extended_attributes if item.key == "DeviceId")
        seen += len(page)
    return seen


def main(what: str, devices: int, workers: int = 1) -> None:
    """Read, and fail where not all were seen."""
    seen = look_up(devices, workers) if what == "lookups" else read_pages(devices)
    if seen < devices:
        raise SystemExit(f"{seen} of {devices} devices seen")


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:]))
