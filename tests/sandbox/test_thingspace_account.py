from __future__ import annotations

import pytest

from pondctl.sandbox import Sandbox
from tests.sandbox.callers import ThingSpaceCaller


def test_the_account_and_its_plans_can_be_read(sandbox: Sandbox, thingspace: ThingSpaceCaller) -> None:
    name = sandbox.config.account_name

    account = thingspace.get(f"/m2m/v1/accounts/{name}").json()

    assert account["accountName"] == name
    assert account["isProvisioningAllowed"] is True
    assert thingspace.get(f"/m2m/v1/plans/{name}").json() == account["servicePlans"]


@pytest.mark.parametrize("path", ["accounts", "plans", "callbacks"])
def test_another_account_is_not_found(thingspace: ThingSpaceCaller, path: str) -> None:
    answer = thingspace.get(f"/m2m/v1/{path}/0000000001-00001")

    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "UnifiedWebService.REQUEST_FAILED.AccountNotFound"


def test_a_listener_is_registered_displaced_and_removed(
    sandbox: Sandbox, thingspace: ThingSpaceCaller
) -> None:
    path = f"/m2m/v1/callbacks/{sandbox.config.account_name}"
    for url in ("https://example.com/old", "https://example.com:9001/new"):
        body = {"name": "CarrierService", "url": url, "username": "u", "password": "p"}
        assert thingspace.post(path, body).json() == {
            "accountName": sandbox.config.account_name,
            "serviceName": "CarrierService",
        }

    [listener] = thingspace.get(path).json()
    assert listener["url"] == "https://example.com:9001/new"
    assert listener["password"] == "p"

    removal = f"{path}/name/CarrierService"
    assert thingspace.http.delete(removal, headers=thingspace.headers).status_code == 200
    assert thingspace.http.delete(removal, headers=thingspace.headers).status_code == 400
    assert thingspace.get(path).json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "CarrierService", "url": "https://example.com:8443/x"},
        {"name": "CarrierService", "url": "https://example.com:x/"},
        {"name": "CarrierService", "url": "nonsense"},
        {"name": "CarrierService"},
        {"name": "MadeUpService", "url": "https://example.com/"},
        {"name": "CarrierService", "url": "https://example.com/", "port": 443},
    ],
    ids=str,
)
def test_a_listener_that_is_not_allowed_is_refused(
    sandbox: Sandbox, thingspace: ThingSpaceCaller, body: dict[str, object]
) -> None:
    answer = thingspace.post(f"/m2m/v1/callbacks/{sandbox.config.account_name}", body)

    assert answer.status_code == 400
