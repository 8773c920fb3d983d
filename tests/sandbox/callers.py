"""Plain HTTP callers of the simulated carriers: they add what is needed to be let in, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from pondctl.sandbox import Sandbox

LIST = "/m2m/v1/devices/actions/list"


class ThingSpaceCaller:
    """Speaks to ThingSpace with the tokens it was given."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.config = sandbox.config
        self.http = httpx.Client(base_url=sandbox.thingspace_url, timeout=10)
        self.headers: dict[str, str] = {}

    def token(self, **form: str) -> httpx.Response:
        auth = (self.config.client_id, self.config.client_secret)
        return self.http.post(
            "/ts/v1/oauth2/token", data=form or {"grant_type": "client_credentials"}, auth=auth
        )

    def login(self, password: str | None = None) -> httpx.Response:
        body = {"username": self.config.username, "password": password or self.config.password}
        return self.post("/m2m/v1/session/login", body)

    def enter(self) -> ThingSpaceCaller:
        """Fetch both tokens."""
        self.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"
        self.headers["VZ-M2M-Token"] = self.login().json()["sessionToken"]
        return self

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(path, json=body, headers=self.headers)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path, headers=self.headers)

    def lookup(self, iccid: str, kind: str = "iccid") -> httpx.Response:
        return self.post(LIST, {"deviceId": {"id": iccid, "kind": kind}})

    def page(self, **filters: Any) -> httpx.Response:
        return self.post(LIST, {"accountName": self.config.account_name, **filters})

    def pages(self, size: int) -> Iterator[list[dict[str, Any]]]:
        """Pages until the carrier says that there are no more."""
        cursor, more = 0, True
        while more:
            body = self.page(largestDeviceIdSeen=cursor, maxNumberOfDevices=size).json()
            yield body["devices"]
            more = body["hasMoreData"]
            cursor = device_id(body["devices"][-1]) if more else 0

    def act(self, action: str, iccid: str, **fields: Any) -> httpx.Response:
        """One of the four provisioning actions on one device, with all that it requires."""
        ids = [{"kind": "iccid", "id": iccid}]
        body: dict[str, Any] = {"accountName": self.config.account_name, "devices": [{"deviceIds": ids}]}
        if action == "activate":
            ids.append({"kind": "imei", "id": "350000000012340"})
            body |= {"servicePlan": "SandboxPlan", "mdnZipCode": "07001"}
        if action == "deactivate":
            body["reasonCode"] = "FF"
        return self.post(f"/m2m/v1/devices/actions/{action}", body | fields)


class PondCaller:
    """Speaks to POND with the key; paths come after the distributor."""

    def __init__(self, sandbox: Sandbox) -> None:
        config = sandbox.config
        self.http = httpx.Client(
            base_url=f"{sandbox.pond_url}/{config.distributor_id}",
            headers={config.api_key_header: config.api_key},
            timeout=10,
        )

    def add(self, iccid: str, package_type_id: int = 1001) -> httpx.Response:
        return self.http.post(f"/devices/{iccid}/packages", json={"packageTypeId": package_type_id})

    def move(self, iccid: str, package_id: str, status: str) -> httpx.Response:
        path = f"/devices/{iccid}/packages/{package_id}/status"
        return self.http.put(path, json={"packageStatus": status})


def device_id(device: dict[str, Any]) -> int:
    """The paging cursor of a record."""
    return next(int(item["value"]) for item in device["extendedAttributes"] if item["key"] == "DeviceId")


def numbers(device: dict[str, Any]) -> dict[str, str]:
    """The identifiers of a record by kind."""
    return {item["kind"]: item["id"] for item in device["deviceIds"]}


def state(device: dict[str, Any]) -> str:
    """The state of a record."""
    return str(device["carrierInformations"][0]["state"])
