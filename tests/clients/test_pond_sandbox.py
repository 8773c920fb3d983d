"""The POND client against the simulated POND, over real connections and with every kind of fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import PackageStatus
from pondctl.errors import (
    AuthenticationError,
    Category,
    ConfigurationError,
    DeviceError,
    PermissionDeniedError,
)
from pondctl.sandbox import Sandbox, SandboxConfig
from tests.clients.pond_world import ICCID, pond_client

UNKNOWN = "8910300000000099999"
BOTH = pytest.mark.parametrize("api", ["devices", "sim"])


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(epoch_milliseconds=True)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    running.clear_faults()
    running.pond.add_sim(ICCID)
    return running


def client_of(sandbox: Sandbox, **settings: Any) -> AbstractContextManager[PondClient]:
    own = {"base_url": sandbox.pond_url, "api_key": sandbox.config.api_key}
    return pond_client(**(own | settings))


@BOTH
def test_a_package_lives_from_its_adding_to_its_end(sandbox: Sandbox, api: str) -> None:
    with client_of(sandbox, api=api) as pond:
        added = pond.add_package(ICCID, 1002)
        pond.set_package_status(ICCID, added.package_id, PackageStatus.ACTIVE)
        pond.set_services(ICCID, enabled=False)
        (active,) = pond.list_packages(ICCID, [PackageStatus.ACTIVE])
        services = pond.get_services(ICCID)
        pond.set_package_status(ICCID, added.package_id, PackageStatus.TERMINATED)

    assert (active.package_id, active.created_at) == (added.package_id, added.created_at)
    assert (services.data, services.voice, services.sms) == (False, False, False)
    assert [package.status for package in sandbox.pond.packages(ICCID)] == ["TERMINATED"]


@BOTH
@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_unknown_sim_is_not_found_whatever_the_status(sandbox: Sandbox, api: str, status: int) -> None:
    sandbox.pond.unknown_sim_status = status
    with client_of(sandbox, api=api) as pond:
        for operation in (
            lambda: pond.list_packages(UNKNOWN),
            lambda: pond.get_services(UNKNOWN),
            lambda: pond.add_package(UNKNOWN, 1002),
            lambda: pond.set_services(UNKNOWN, enabled=True),
            lambda: pond.set_package_status(UNKNOWN, "no-such-package", PackageStatus.ACTIVE),
        ):
            with pytest.raises(DeviceError) as caught:
                operation()
            assert (caught.value.category, caught.value.temporary) == (Category.NOT_FOUND, False)
        pond.probe(UNKNOWN)


@BOTH
def test_a_wrong_package_type_is_refused_in_the_carriers_words(sandbox: Sandbox, api: str) -> None:
    with (
        client_of(sandbox, api=api) as pond,
        pytest.raises(DeviceError, match="The package type 5 does not exist") as caught,
    ):
        pond.add_package(ICCID, 5)

    assert caught.value.category is Category.CARRIER_REJECTED


@BOTH
def test_a_terminated_sim_and_a_terminated_package_forbid(sandbox: Sandbox, api: str) -> None:
    (package,) = sandbox.pond.add_sim(ICCID, [(1002, "TERMINATED")], state="Terminated")
    with client_of(sandbox, api=api) as pond:
        with pytest.raises(DeviceError) as adding:
            pond.add_package(ICCID, 1002)
        with pytest.raises(DeviceError) as activating:
            pond.set_package_status(ICCID, package.package_id, PackageStatus.ACTIVE)

    assert (adding.value.category, adding.value.carrier_state) == (Category.INVALID_STATE, "Terminated")
    assert (activating.value.category, activating.value.carrier_state) == (
        Category.INVALID_STATE,
        "TERMINATED",
    )


def test_a_wrong_key_and_a_foreign_distributor_end_the_run(sandbox: Sandbox) -> None:
    with client_of(sandbox, api_key="wrong") as pond, pytest.raises(AuthenticationError):
        pond.add_package(ICCID, 1002)
    with client_of(sandbox, distributor_id=9) as pond, pytest.raises(PermissionDeniedError):
        pond.add_package(ICCID, 1002)
    assert sandbox.pond.packages(ICCID) == []


@BOTH
def test_all_pages_of_many_packages_are_read(sandbox: Sandbox, api: str) -> None:
    sandbox.pond.add_sim(ICCID, [(1002, "TERMINATED")] * 230)
    with client_of(sandbox, api=api) as pond:
        found = pond.list_packages(ICCID)

    assert len({package.package_id for package in found}) == 230
    assert sandbox.calls.count("pond.list_packages") == 3


@BOTH
@pytest.mark.parametrize(
    ("fault", "there"),
    [
        ("cut-before", 0),
        ("cut-after", 1),
        ("cut-body", 1),
        ("late=0.2", 0),
        ("html", 1),
        ("truncated", 1),
        ("wrong-type", 1),
        ("other-device", 1),
        ("error-in-200", 0),
        ("status=503", 0),
        ("status=408", 0),
    ],
)
def test_an_add_without_a_clear_answer_is_lost_and_sent_once(
    sandbox: Sandbox, api: str, fault: str, there: int
) -> None:
    armed = sandbox.fault(f"pond.add_package:{fault},count=1")
    with client_of(sandbox, api=api) as pond, pytest.raises(DeviceError) as caught:
        pond.add_package(ICCID, 1002)

    assert caught.value.answer_lost is True
    assert (armed.fired, sandbox.calls.count("pond.add_package")) == (1, 1)
    assert len(sandbox.pond.packages(ICCID)) == there


@pytest.mark.parametrize("endpoint", ["pond.package_active", "pond.set_sim_status"])
@pytest.mark.parametrize("fault", ["cut-before", "cut-after", "late=0.1", "error-in-200", "status=500"])
def test_a_change_without_a_clear_answer_is_lost_and_sent_once(
    sandbox: Sandbox, endpoint: str, fault: str
) -> None:
    (package,) = sandbox.pond.add_sim(ICCID, [(1002, "NOT_ACTIVE")])
    sandbox.fault(f"{endpoint}:{fault},count=1")
    with client_of(sandbox) as pond:
        changes = {
            "pond.set_sim_status": lambda: pond.set_services(ICCID, enabled=False),
            "pond.package_active": lambda: pond.set_package_status(
                ICCID, package.package_id, PackageStatus.ACTIVE
            ),
        }
        with pytest.raises(DeviceError) as caught:
            changes[endpoint]()

    assert caught.value.answer_lost is True
    assert sandbox.calls.count(endpoint) == 1


@pytest.mark.parametrize(
    "fault",
    ["cut-before", "cut-after", "cut-body", "html", "truncated", "wrong-type", "other-device", "status=503"],
)
@pytest.mark.parametrize("endpoint", ["pond.list_packages", "pond.get_device"])
def test_a_read_is_repeated_until_it_is_clear(sandbox: Sandbox, endpoint: str, fault: str) -> None:
    sandbox.pond.add_sim(ICCID, [(1002, "ACTIVE")])
    armed = sandbox.fault(f"{endpoint}:{fault},count=1")
    with client_of(sandbox) as pond:
        assert pond.get_services(ICCID).data is True
        assert len(pond.list_packages(ICCID)) == 1
    assert armed.fired == 1


def test_an_answer_that_comes_too_late_is_lost(sandbox: Sandbox) -> None:
    sandbox.fault("pond.add_package:latency=1,count=1")
    with client_of(sandbox, call_seconds=0.5) as pond, pytest.raises(DeviceError) as caught:
        pond.add_package(ICCID, 1002)

    assert caught.value.answer_lost is True


def test_a_server_that_does_not_listen_was_not_reached(sandbox: Sandbox) -> None:
    nobody = {"base_url": "http://127.0.0.1:9/", "call_seconds": 0.2}
    with client_of(sandbox, **nobody) as pond, pytest.raises(DeviceError) as caught:
        pond.add_package(ICCID, 1002)

    assert (caught.value.answer_lost, caught.value.category) == (False, Category.NETWORK)


def test_a_wrong_path_does_not_pass_for_an_unknown_sim(sandbox: Sandbox) -> None:
    with client_of(sandbox, base_url=f"{sandbox.pond_url}/v9") as pond, pytest.raises(ConfigurationError):
        pond.probe(UNKNOWN)


def test_basic_authorisation_goes_beside_a_key_of_any_name() -> None:
    config = SandboxConfig(
        api_key_header="ApiKey", pond_username="me", pond_password="geheim", pond_prefix=""
    )
    with Sandbox(config) as sandbox:
        sandbox.pond.add_sim(ICCID)
        with client_of(sandbox, api_key_header="ApiKey", username="me", password="geheim") as pond:
            assert pond.list_packages(ICCID) == []
        with client_of(sandbox, api_key_header="ApiKey") as pond, pytest.raises(AuthenticationError):
            pond.list_packages(ICCID)
