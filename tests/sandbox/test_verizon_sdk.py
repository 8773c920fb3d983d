"""Verizon's own SDK takes the sandbox for ThingSpace: the witness that the sandbox is not our own reading."""
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

import pytest

from pondctl.sandbox import Sandbox

A = "89148000001234567898"


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    from verizon.configuration import Configuration
    from verizon.http.auth.thingspace_oauth import ThingspaceOauthCredentials
    from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
    from verizon.models.log_in_request import LogInRequest
    from verizon.verizon_client import VerizonClient

    class Loopback(Configuration):  # type: ignore[misc]
        def get_base_uri(self, server: Any = None) -> str:
            name = getattr(server, "name", "")
            return f"{sandbox.thingspace_url}/ts/v1" if name == "OAUTH_SERVER" else sandbox.thingspace_url

    config = sandbox.config
    oauth = ThingspaceOauthCredentials(config.client_id, config.client_secret)
    first = VerizonClient(config=Loopback(thingspace_oauth_credentials=oauth))
    answer = first.session_management.start_connectivity_management_session(
        LogInRequest(username=config.username, password=config.password)
    )
    session = VZM2mTokenCredentials(answer.body.session_token)
    return VerizonClient(
        config=Loopback(thingspace_oauth_credentials=oauth, vz_m2m_token_credentials=session)
    )


def test_the_sdk_logs_in_and_lists_the_account(sandbox: Sandbox, client: Any) -> None:
    from verizon.models.account_device_list_request import AccountDeviceListRequest

    request = AccountDeviceListRequest(account_name=sandbox.config.account_name, max_number_of_devices=2000)
    body = client.device_management.list_devices_information(request).body

    found = [next(item.id for item in device.device_ids if item.kind == "iccId") for device in body.devices]
    assert body.has_more_data is False
    assert found == list(sandbox.thingspace.devices)
    assert body.devices[0].carrier_informations[0].state == sandbox.thingspace.devices[found[0]].state


def test_the_sdk_follows_the_cursor(sandbox: Sandbox, client: Any) -> None:
    from verizon.models.account_device_list_request import AccountDeviceListRequest

    cursor, more, seen = 0, True, 0
    while more:
        request = AccountDeviceListRequest(
            account_name=sandbox.config.account_name,
            max_number_of_devices=25,
            largest_device_id_seen=cursor,
        )
        body = client.device_management.list_devices_information(request).body
        more, seen = body.has_more_data, seen + len(body.devices)
        attributes = body.devices[-1].extended_attributes
        cursor = int(next(item.value for item in attributes if item.key == "DeviceId"))

    assert seen == 60


def test_the_sdk_reads_one_device_activates_it_and_sees_the_request_succeed(
    sandbox: Sandbox, client: Any
) -> None:
    from verizon.models.account_device_list import AccountDeviceList
    from verizon.models.account_device_list_request import AccountDeviceListRequest
    from verizon.models.carrier_activate_request import CarrierActivateRequest
    from verizon.models.device_id import DeviceId

    account = sandbox.config.account_name
    ids = [DeviceId(id=A, kind="iccid"), DeviceId(id="350000000012340", kind="imei")]
    activation = CarrierActivateRequest(
        devices=[AccountDeviceList(device_ids=ids)],
        service_plan="SandboxPlan",
        mdn_zip_code="07001",
        account_name=account,
    )
    request_id = client.device_management.activate_service_for_devices(activation).body.request_id
    pending = client.account_requests.get_current_asynchronous_request_status(account, request_id)
    sandbox.advance(601)
    done = client.account_requests.get_current_asynchronous_request_status(account, request_id)
    lookup = AccountDeviceListRequest(device_id=DeviceId(id=A, kind="iccid"))
    [device] = client.device_management.list_devices_information(lookup).body.devices

    assert (pending.body.status, done.body.status) == ("Pending", "Success")
    assert device.carrier_informations[0].state == "active"


def test_the_sdk_understands_a_refusal(client: Any) -> None:
    from verizon.exceptions.connectivity_management_result_exception import (
        ConnectivityManagementResultException,
    )
    from verizon.models.account_device_list_request import AccountDeviceListRequest
    from verizon.models.device_id import DeviceId

    request = AccountDeviceListRequest(device_id=DeviceId(id=A, kind="iccid"))

    with pytest.raises(ConnectivityManagementResultException) as refusal:
        client.device_management.list_devices_information(request)

    assert refusal.value.error_code == "UnifiedWebService.REQUEST_FAILED.DeviceNotFound"


def test_the_sdk_reads_the_account_and_its_callbacks(sandbox: Sandbox, client: Any) -> None:
    from verizon.models.register_callback_request import RegisterCallbackRequest

    account = sandbox.config.account_name
    listener = RegisterCallbackRequest(name="CarrierService", url="https://example.com/callback")
    client.connectivity_callbacks.register_callback(account, listener)

    assert client.accounts.get_account_information(account).body.account_name == account
    [listed] = client.connectivity_callbacks.list_registered_callbacks(account).body
    assert listed.service_name == "CarrierService"
